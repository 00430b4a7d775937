"""Trains a small reader of handwritten numbers with Keras, fed by tf.data, in a few minutes.

Samples come from the generator while the training goes on, and never repeat; the test reads
numbers of digits that the training never saw.

    pip install mnistseq keras tensorflow
    python train_keras.py
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from mnistseq_cli import Recipe, SequenceGenerator

BATCH_SIZE = 64
MAX_DIGITS = 5
WIDTH_PX = 152


def stream(generator: SequenceGenerator) -> tf.data.Dataset:
    """Return batches of images, float32 (B, 28, W, 1), and classes from 1, filled up with 0."""
    width_px = generator.recipe.width_px
    shapes = (
        tf.TensorSpec((BATCH_SIZE, 28, width_px), tf.uint8),
        tf.TensorSpec((BATCH_SIZE,), tf.string),
    )
    data = tf.data.Dataset.from_generator(
        lambda: generator.batches(BATCH_SIZE), output_signature=shapes
    )

    def prepare(images: tf.Tensor, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        digits = tf.strings.to_number(tf.strings.bytes_split(texts), tf.int32)
        classes = digits.to_tensor(-1, shape=(None, MAX_DIGITS)) + 1
        return 1 - tf.cast(images[..., None], tf.float32) / 255, classes

    return data.map(prepare).prefetch(2)


def make_reader(width_px: int) -> keras.Model:
    """Return a convolutional-recurrent network with a step for every two columns."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, width_px, 1)),
            layers.Conv2D(24, 5, strides=(2, 2), padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(48, 3, strides=(2, 1), padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Permute((2, 1, 3)),
            layers.Reshape((-1, 7 * 48)),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Dense(11),  # the digits, and the blank as class 0
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), loss=keras.losses.CTC())
    return model


def read(model: keras.Model, images: tf.Tensor) -> list[str]:
    """Take the likeliest class of each step, leave out repeats, then blanks."""
    texts = []
    for steps in np.argmax(model.predict(images, verbose=0), axis=2):
        kept = steps[np.insert(steps[1:] != steps[:-1], 0, values=True)]
        texts.append("".join(str(one - 1) for one in kept if one))
    return texts


def main() -> None:
    """Train, test, and print how many numbers are read without an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="mnist", help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=1200, help="default: %(default)s")
    parser.add_argument("--tests", type=int, default=1024, help="default: %(default)s")
    asked = parser.parse_args()

    recipe = Recipe(length=(3, MAX_DIGITS), width_px=WIDTH_PX, seed=1, dataset=asked.dataset)
    model = make_reader(WIDTH_PX)
    model.fit(stream(SequenceGenerator(recipe)), steps_per_epoch=asked.steps, shuffle=False)

    test = SequenceGenerator(replace(recipe, glyphs="test", count=asked.tests))
    block = test.block(0, asked.tests)
    images = 1 - block.images[..., None].astype(np.float32) / 255
    right = np.mean(np.array(read(model, images)) == block.texts)
    print(f"exact sequences  {right:.2%} of {asked.tests}")


if __name__ == "__main__":
    main()
