from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import LayoutError, UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe

torch = pytest.importorskip("torch", reason="PyTorch is not installed: these tests need it")

from torch.utils.data import DataLoader, Subset  # noqa: E402 - as above

from mnistseq_cli.torch import (  # noqa: E402 - as above
    IterableSequenceDataset,
    SequenceDataset,
    ctc_collate,
    detection_collate,
)

pytestmark = [
    pytest.mark.consumers,
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # on few cores
]
COUNT = 37
RECIPE = Recipe(length=(1, 4), count=COUNT, seed=3)
Open = Callable[..., IterableSequenceDataset]


@pytest.fixture
def open_stream(glyphs: GlyphSet) -> Open:
    return partial(IterableSequenceDataset, RECIPE, batch_size=5, glyphs=glyphs)


@pytest.fixture
def stream(open_stream: Open) -> IterableSequenceDataset:
    return open_stream()


def load(dataset: IterableSequenceDataset, **options: Any) -> list[Block]:
    return list(DataLoader(dataset, batch_size=None, **options))


def starts(blocks: list[Block]) -> list[int]:
    return [block.start for block in blocks]


def texts(blocks: list[Block]) -> list[str]:
    return [text for block in blocks for text in block.texts.tolist()]


def test_samples_by_index_are_those_of_the_generator_in_any_order(glyphs: GlyphSet) -> None:
    dataset = SequenceDataset(RECIPE, glyphs)
    samples = list(SequenceGenerator(RECIPE, glyphs))
    assert len(dataset) == COUNT
    indices = [*range(COUNT), 4, 5, 6, 2, 1, 36, 7, 7, 8, -2, -1, 0, 1, -COUNT]
    for index, item in zip(indices, dataset.__getitems__(indices), strict=True):
        sample = samples[index]
        assert (item["index"], item["text"]) == (index % COUNT, sample.text)
        assert item["image"].dtype == torch.float32
        assert torch.equal((item["image"][0] * 255).to(torch.uint8), torch.tensor(sample.image))
        assert item["classes"].tolist() == [int(digit) for digit in sample.text]
        assert item["boxes"].tolist() == sample.boxes.tolist()
    assert dataset[-1]["text"] == samples[-1].text
    assert dataset.__getitems__([]) == []
    for beyond in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError, match=f"{beyond} of {COUNT}"):
            dataset.__getitems__([COUNT - 1, beyond])
        with pytest.raises(IndexError, match=f"{beyond} of {COUNT}"):
            next(iter(DataLoader(Subset(dataset, [beyond]), collate_fn=ctc_collate)))


@pytest.mark.parametrize("world_size", [1, 3, 9])
@pytest.mark.parametrize("n_workers", [0, 1, 2])
def test_ranks_share_all_samples_in_order(
    world_size: int, n_workers: int, open_stream: Open, glyphs: GlyphSet
) -> None:
    whole, shares = SequenceGenerator(RECIPE, glyphs).block(0, COUNT), []
    for rank in range(world_size):
        dataset = open_stream(rank=rank, world_size=world_size)
        blocks = load(dataset, num_workers=n_workers)
        assert len(blocks) == len(dataset)
        assert starts(blocks) == list(range(rank * 5, COUNT, world_size * 5))
        shares += blocks
    shares.sort(key=lambda block: block.start)
    assert texts(shares) == whole.texts.tolist()
    assert np.array_equal(np.concatenate([block.images for block in shares]), whole.images)


def test_without_the_last_ones_every_rank_has_as_many_full_batches(open_stream: Open) -> None:
    for rank in range(3):
        dataset = open_stream(drop_last=True, rank=rank, world_size=3)
        assert [len(block) for block in dataset] == [5, 5]


def test_rank_and_world_size_come_from_the_surroundings(
    open_stream: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    dataset = open_stream()
    assert (dataset.rank, dataset.world_size) == (2, 4)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    try:
        dataset = open_stream()
        assert (dataset.rank, dataset.world_size) == (0, 1)
    finally:
        torch.distributed.destroy_process_group()


def test_epochs_give_the_next_samples(stream: IterableSequenceDataset, glyphs: GlyphSet) -> None:
    longer = SequenceGenerator(Recipe(length=(1, 4), count=4 * COUNT, seed=3), glyphs)
    items = SequenceDataset(RECIPE, glyphs)
    for epoch in (0, 3, 1):
        stream.set_epoch(epoch)
        items.set_epoch(epoch)
        expected = longer.block(epoch * COUNT, (epoch + 1) * COUNT)
        assert texts(list(stream)) == expected.texts.tolist()
        assert items[0]["text"] == expected.texts[0]
        assert items[0]["index"] == epoch * COUNT


def test_numbers_are_unique_in_and_between_epochs_while_they_last(glyphs: GlyphSet) -> None:
    recipe = Recipe(pattern="0##", count=40)
    dataset = IterableSequenceDataset(recipe, glyphs=glyphs)
    epochs = []
    for epoch in range(4):
        dataset.set_epoch(epoch)
        epochs.append(texts(list(dataset)))
    assert [len(set(numbers)) for numbers in epochs] == [40] * 4
    assert len(set(epochs[0] + epochs[1])) == 80
    assert len({number for numbers in epochs for number in numbers}) == 100


@pytest.mark.parametrize("stop", [0, 1, 3, 7, 8])
def test_a_stream_goes_on(stop: int, stream: IterableSequenceDataset, open_stream: Open) -> None:
    stream.set_epoch(2)
    whole = starts(list(stream))
    batches = iter(stream)
    for _ in range(stop):
        next(batches)
    state = pickle.loads(pickle.dumps(stream.state_dict()))  # noqa: S301 - as a checkpoint is
    again = open_stream()
    again.load_state_dict(state)
    assert again.state_dict() == state
    again.set_epoch(2)
    assert starts(list(again)) == whole[stop:]
    again.set_epoch(3)
    assert len(list(again)) == len(whole)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_a_stream_of_workers_goes_on_in_order(
    n_workers: int, stream: IterableSequenceDataset, open_stream: Open
) -> None:
    batches = iter(DataLoader(stream, batch_size=None, num_workers=n_workers))
    seen = [next(batches).start for _ in range(3)]
    with pytest.raises(UsageError, match="n_batches"):
        stream.state_dict()
    again = open_stream()
    again.load_state_dict(stream.state_dict(3))
    assert seen + starts(load(again, num_workers=2)) == list(range(0, COUNT, 5))


@pytest.mark.parametrize(("n_workers", "lives_on"), [(0, False), (2, False), (2, True)])
def test_a_place_that_was_loaded_is_for_one_pass(
    n_workers: int, lives_on: bool, stream: IterableSequenceDataset
) -> None:
    loader = DataLoader(
        stream, batch_size=None, num_workers=n_workers, persistent_workers=lives_on
    )
    whole = list(range(0, COUNT, 5))
    assert starts(list(loader)) == whole
    for batch in (3, 6):
        stream.load_state_dict(stream.state_dict(batch))
        assert starts(list(loader)) == whole[batch:]
        assert starts(list(loader)) == whole
    stream.set_epoch(1)  # of which workers that live on hear
    assert starts(list(loader)) == [COUNT + start for start in whole]
    stream.set_epoch(0)
    assert starts(load(stream, num_workers=3)) == whole


def test_the_place_is_that_of_the_newest_step(stream: IterableSequenceDataset) -> None:
    batches = iter(stream)
    for _ in range(3):
        next(batches)
    next(iter(stream))  # a look at the data leaves the place as it is
    assert next(batches).start == 15
    assert stream.state_dict()["batch"] == 4
    assert 4 + len(list(batches)) == stream.state_dict()["batch"] == len(stream)
    stream.set_epoch(1)
    for n_batches, _ in enumerate(stream):
        assert (stream.state_dict()["epoch"], stream.state_dict()["batch"]) == (1, n_batches + 1)


def test_a_worker_that_is_spawned_opens_the_glyphs_itself(glyph_folder: Path) -> None:
    recipe = Recipe(length=(1, 4), count=COUNT, seed=3, dataset=str(glyph_folder))
    dataset = IterableSequenceDataset(recipe, batch_size=5, masks=True)
    assert len(pickle.dumps(dataset)) < 2**14  # no glyphs
    together: Any = {"batch_size": 6, "collate_fn": list}  # more than there are slots of memory
    loader = DataLoader(dataset, num_workers=1, multiprocessing_context="spawn", **together)
    got, made = ([detection_collate(one) for one in ones] for ones in (chain(*loader), dataset))
    assert to_lists(got) == to_lists(made)


@pytest.mark.parametrize("ink", ["black", "white"])
def test_both_datasets_give_the_same_batches_for_ctc(ink: Any, glyphs: GlyphSet) -> None:
    recipe = Recipe(length=(1, 4), count=12, width_px="natural", ink=ink)
    items = SequenceDataset(recipe, glyphs)
    stream = IterableSequenceDataset(recipe, batch_size=12, glyphs=glyphs)
    one = next(iter(DataLoader(items, batch_size=12, collate_fn=ctc_collate)))
    two = next(iter(DataLoader(stream, batch_size=None, collate_fn=ctc_collate)))
    for mine, other in zip(one, two, strict=True):
        assert mine.dtype == other.dtype
        assert torch.equal(mine, other)
    assert one.images.shape == (12, 1, 28, int(one.widths_px.max()))
    samples = list(SequenceGenerator(recipe, glyphs))
    assert one.targets.tolist() == [int(digit) + 1 for each in samples for digit in each.text]
    assert one.target_lengths.tolist() == [len(each.text) for each in samples]
    assert one.widths_px.tolist() == [each.image.shape[1] for each in samples]


@pytest.mark.parametrize("collate", [ctc_collate, detection_collate])
def test_batches_are_gathered_only_once(collate: Any, stream: IterableSequenceDataset) -> None:
    with pytest.raises(UsageError, match="batch_size=None"):
        next(iter(DataLoader(stream, batch_size=2, collate_fn=collate)))
    loader = DataLoader(stream, batch_size=None, collate_fn=collate, num_workers=1)
    expected = [to_lists(collate(block)) for block in stream]
    assert [to_lists(batch) for batch in loader] == expected


def to_lists(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        return (str(batch.dtype), tuple(batch.shape), batch.tolist())
    if isinstance(batch, dict):
        return {name: to_lists(value) for name, value in batch.items()}
    return [to_lists(each) for each in batch] if isinstance(batch, (list, tuple)) else batch


GROWING = Recipe(texts=tuple("7" * n for n in range(1, 7)), count=36, width_px="natural")


@pytest.mark.parametrize("n_workers", [0, 1])
def test_samples_of_any_size_are_gathered_by_default(n_workers: int, glyphs: GlyphSet) -> None:
    items = SequenceDataset(GROWING, glyphs)
    batches = list(DataLoader(items, batch_size=6, num_workers=n_workers))
    assert len(batches) == 6
    for number, batch in enumerate(batches):
        assert batch["text"] == list(GROWING.texts or ())
        assert batch["length"].tolist() == [1, 2, 3, 4, 5, 6]
        assert batch["image"].shape == (6, 1, 28, int(batch["width_px"].max()))
        assert batch["classes"].shape == (6, 6)
        assert batch["boxes"].shape == (6, 6, 4)
        for place, index in enumerate(batch["index"].tolist()):
            item, width_px = items[index], batch["width_px"][place]
            assert index == 6 * number + place
            assert torch.equal(batch["image"][place, :, :, :width_px], item["image"])
            assert (batch["image"][place, :, :, width_px:] == 1).all()


def test_the_alphabet_spells_targets(glyphs: GlyphSet) -> None:
    about: dict[str, Any] = {"name": "letters", "split": "train", "licence": "none", "sha256": ""}
    letters = GlyphSet(glyphs.images, glyphs.labels, alphabet="ABCDEFGHab", **about)
    stream = IterableSequenceDataset(Recipe(texts=("Bab", "HaG"), count=8), glyphs=letters)
    for block in stream:
        targets = ctc_collate(block).targets.tolist()
        assert "".join(stream.alphabet[number - 1] for number in targets) == "".join(block.texts)
        assert block.alphabet == stream.alphabet


def test_boxes_for_a_detector_are_corners_of_ink(glyphs: GlyphSet) -> None:
    recipe = Recipe(length=(1, 4), count=9, width_px="natural", ink="white", spacing_px=(1, 3))
    items = SequenceDataset(recipe, glyphs)
    stream = IterableSequenceDataset(recipe, batch_size=9, glyphs=glyphs)
    batch = detection_collate(next(iter(stream)))
    by_index = detection_collate(items.__getitems__(range(9)))
    for place, (image, target) in enumerate(zip(*batch, strict=True)):
        assert torch.equal(image, by_index.images[place])
        assert torch.equal(target["boxes"], by_index.targets[place]["boxes"])
        assert target["labels"].tolist() == [int(digit) + 1 for digit in items[place]["text"]]
        rest = image[0].clone()
        for left, top, right, bottom in target["boxes"].int().tolist():
            ink = rest[top:bottom, left:right]
            assert all(side.any() for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))
            ink.zero_()
        assert not rest.any()


def test_masks_for_a_detector_have_the_boxes_of_their_digits(glyphs: GlyphSet) -> None:
    recipe = Recipe(length=(1, 4), count=9, width_px="natural", spacing_px=(-6, 3))
    items = SequenceDataset(recipe, glyphs, masks=True)
    stream = IterableSequenceDataset(recipe, batch_size=9, glyphs=glyphs, masks=True)
    of_block = detection_collate(next(iter(stream)))
    for image, target, item in zip(*of_block, items.__getitems__(range(9)), strict=True):
        assert torch.equal(target["masks"], item["masks"])
        assert target["masks"].dtype == torch.uint8
        assert torch.equal(target["masks"].any(dim=0), image[0] < 1)
        for mask, box in zip(target["masks"], target["boxes"].int().tolist(), strict=True):
            rows, columns = torch.nonzero(mask, as_tuple=True)
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert [int(corner) for corner in corners] == box
    assert "masks" not in detection_collate([SequenceDataset(recipe, glyphs)[0]]).targets[0]


def test_what_cannot_be_is_refused_at_the_start(open_stream: Open, glyphs: GlyphSet) -> None:
    with pytest.raises(LayoutError):
        SequenceDataset(Recipe(digits="12345", width_px=20), glyphs)
    for share in ({"batch_size": 0}, {"rank": 2, "world_size": 2}):
        with pytest.raises(UsageError, match="expected"):
            open_stream(**share)
    with pytest.raises(UsageError, match="batch_size is 4, but the state was saved with 5"):
        open_stream(batch_size=4).load_state_dict(open_stream().state_dict())
