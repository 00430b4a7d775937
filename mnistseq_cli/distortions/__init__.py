"""Distortions: of each digit, and of finished images.

Every distortion is one function and one entry of the table, which also gives the order:
where the ink of a digit goes (all of it in one resampling), how thick the pen was, where digits
stand, and then the finished image: strokes across, lens, paper, light, grain, file.

The strengths of a distortion come from words of its own, so that switching one on does not change
what another draws. All pixels are made by whole numbers, or by single operations on floats that
IEEE 754 rounds the same way on every processor; only "jpeg" follows an installed library.
"""
