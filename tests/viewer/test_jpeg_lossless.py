"""Signed prediction is undone where, and only where, an encoder used it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from viewer.decode import open_instance
from viewer.jpeg_lossless import AFFECTED_PREDICTORS, repaired
from viewer.render import grey_frame
from viewer.windowing import Window


def predict(predictor: int, left: int, above: int, corner: int) -> int:
    return {
        5: left + (above - corner >> 1),
        6: above + (left - corner >> 1),
        7: left + above >> 1,
    }[predictor]


def moire(pixels: NDArray[np.int16], predictor: int) -> NDArray[np.uint16]:
    """What a correct decoder draws of pixels that were predicted as signed numbers."""
    signed = pixels.astype(int).tolist()
    drawn = pixels.view(np.uint16).astype(int).tolist()
    for row in range(1, len(drawn)):
        for n in range(1, len(drawn[0])):
            neighbours = [(row, n - 1), (row - 1, n), (row - 1, n - 1)]
            coded = signed[row][n] - predict(predictor, *(signed[r][c] for r, c in neighbours))
            drawn[row][n] = (
                predict(predictor, *(drawn[r][c] for r, c in neighbours)) + coded
            ) % 65536
    return np.array(drawn, dtype=np.uint16)


def head() -> NDArray[np.int16]:
    """Air of -1000 around tissue of 40, with noise."""
    rows, columns = np.mgrid[0:40, 0:50]
    inside = (rows - 20) ** 2 + (columns - 25) ** 2 < 200
    noise = np.random.default_rng(1).integers(-20, 20, inside.shape)
    return (np.where(inside, 40, -1000) + noise).astype(np.int16)


@pytest.mark.parametrize("predictor", AFFECTED_PREDICTORS)
def test_signed_prediction_is_undone(predictor: int) -> None:
    drawn = moire(head(), predictor)
    assert not np.array_equal(drawn, head().view(np.uint16))
    assert np.array_equal(repaired(drawn, predictor).view(np.int16), head())


@pytest.mark.parametrize("predictor", range(8))
def test_good_pictures_are_left_alone(predictor: int) -> None:
    samples = head().view(np.uint16)
    assert repaired(samples, predictor) is samples


def test_noise_is_left_alone() -> None:
    noise = np.random.default_rng(1).integers(0, 65536, (40, 50)).astype(np.uint16)
    assert repaired(noise, 6) is noise


@pytest.mark.peer
def test_a_real_picture_is_repaired_as_dcmtk_does(
    corpus: Path, dcmj2pnm: Callable[..., NDArray[np.int64]]
) -> None:
    path = corpus / "transfer-syntax" / "pylibjpeg__JPEGLossless_1s_1f_i_16_16_bad.dcm"
    theirs = dcmj2pnm(path, 550, 2000, "--workaround-pred6")
    ours = grey_frame(open_instance(path), 1, Window(550, 2000)).astype(int)
    assert np.abs(ours - theirs).max() <= 1
