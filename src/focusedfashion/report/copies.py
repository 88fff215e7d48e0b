"""Which pictures are one: byte for byte, or the same photo saved again, a little smaller, lighter or cut.

Near copies are found in three steps. A 64-bit hash of the picture's coarse structure (the DCT hash of Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), whose pairs within HASH_BITS bits come
from multi-index hashing (Norouzi, Punjani, Fleet, "Fast Search in Hamming Space", 2012). Then their colors: one dress
in red and in blue are two. Then their detail: the correlation of what is finer than 5 pixels of 48, and on an even
ground only where the garment is, because two ties on white have one outline. Pictures of one even color are no
copies: there is nothing on them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.colors import has_even_ground, list_border
from focusedfashion.images import RGB
from focusedfashion.report.looks import View

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PLAIN = 2.0  # standard deviation over a picture, of 255, below which there is nothing on it

_SIDE = 48  # px; a picture's detail
_BLUR = 2  # px to each side
_PARTS = 8  # of the hash: two whose hashes differ in 6 bits agree in 2 parts of 8 at least
_MEMBERS = 64  # of one hash that are compared with each other and with those of close hashes
_CHUNK = 4_096  # pairs or pictures at once

# By trial on 38,000 shop photos, 4,300 photos of garments on floors and beds and 1,800 of people in the street, and on
# copies of them that were saved again at 40 % quality or at 70 % of their size. On an even ground more is asked for.
_SHADE_EVEN, _SHADE_BUSY = 20.0, 24.0  # difference of the content's mean in red, green or blue, of 255
_TINT_EVEN, _TINT_BUSY = 12.0, 20.0  # difference of red minus green or of yellow minus blue in any of 24 parts, of 255
_PART_EVEN, _PART_BUSY = 28.0, 40.0  # difference of red, green or blue in any of the parts
_DETAIL_EVEN, _DETAIL_BUSY = 0.97, 0.75  # correlation
_GROUND = 20  # of 255; nearer to the border's median a pixel is ground


def is_plain(minis: RGB) -> Bools:
    """(n, 16, 18, 3) -> (n,): whether there is nothing on the picture."""
    plain = np.empty(len(minis), bool)
    for begin in range(0, len(minis), _CHUNK):
        some = minis[begin : begin + _CHUNK].astype(np.float32)
        plain[begin : begin + _CHUNK] = some.std(axis=(1, 2)).max(axis=1) < PLAIN
    return plain


def find_exact(views: Sequence[View]) -> list[list[int]]:
    """Groups of pictures that are the same byte for byte, in order."""
    groups: dict[bytes, list[int]] = {}
    for place, view in enumerate(views):
        groups.setdefault(view.digest, []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def find_near(views: Sequence[View], minis: RGB) -> list[list[int]]:
    """Groups of pictures that are near copies, with their exact copies; `minis` (n, 16, 18, 3) are those of the views.

    Each one is near to the first of its group.
    """
    first: dict[bytes, int] = {}
    leader = np.array([first.setdefault(view.digest, place) for place, view in enumerate(views)], np.int64)
    unique = np.flatnonzero((leader == np.arange(len(views))) & ~is_plain(minis))
    if len(unique) < 2:
        return []
    pairs = unique[find_close(hash_pictures(minis[unique]))]
    even = has_even_ground(minis)
    pairs = pairs[_have_same_colors(minis, even, pairs)]
    pairs = pairs[_have_same_detail(views, even, pairs)]
    # Pictures join the first that they are near to: no chain leads from one garment to another.
    joined: dict[int, int] = {}
    for one, other in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        if joined.setdefault(one, one) == one:
            joined.setdefault(other, one)
    groups: dict[int, list[int]] = {}
    for place, own in enumerate(leader.tolist()):
        if own in joined:
            groups.setdefault(joined[own], []).append(place)
    return [group for group in groups.values() if len({views[place].digest for place in group}) > 1]


def hash_pictures(minis: RGB) -> NDArray[np.uint64]:
    """(n, 16, 18, 3) -> (n,): 64 signs of the picture's lowest frequencies, against their median."""
    height, width = minis.shape[1:3]
    found = np.empty(len(minis), np.uint64)
    rows, columns = _make_cosines(height), _make_cosines(width)
    for begin in range(0, len(minis), _CHUNK):
        grey = _to_grey(minis[begin : begin + _CHUNK])
        waves = np.einsum("ki,nij,lj->nkl", rows, grey, columns, optimize=True).reshape(len(grey), 64)
        bits = np.packbits(waves > np.median(waves, axis=1, keepdims=True), axis=1)
        found[begin : begin + _CHUNK] = bits.view(">u8").ravel()
    return found


def find_close(hashes: NDArray[np.uint64], most: int = settings.HASH_BITS) -> Ints:
    """(n,) -> pairs (m, 2) of indexes, the lower first, whose hashes differ in at most `most` bits (at most 6).

    Of pictures with one and the same hash the first 64 count.
    """
    order = np.argsort(hashes, kind="stable")
    values, starts, counts = np.unique(hashes[order], return_index=True, return_counts=True)
    counts = np.minimum(counts, _MEMBERS)
    codes = [np.zeros(0, np.int64)]
    for one, other in _find_close_values(values, most):
        codes.append(np.minimum(one, other) * len(values) + np.maximum(one, other))
    alike = np.flatnonzero(counts > 1)
    codes.append(alike * len(values) + alike)
    code = np.unique(np.concatenate(codes))
    found = [np.zeros((0, 2), np.int64)]
    # Each pair of hashes stands for all pairs of their pictures.
    one, other = code // max(1, len(values)), code % max(1, len(values))
    single = (counts[one] == 1) & (counts[other] == 1)
    found.append(order[np.stack([starts[one[single]], starts[other[single]]], axis=1)])
    for a, b in zip(one[~single], other[~single], strict=True):
        left, right = (order[starts[part] : starts[part] + counts[part]] for part in (a, b))
        grid = np.stack(np.meshgrid(left, right, indexing="ij"), axis=-1).reshape(-1, 2)
        found.append(grid[grid[:, 0] < grid[:, 1]] if a == b else grid)
    return np.sort(np.concatenate(found), axis=1)


def _find_close_values(values: NDArray[np.uint64], most: int) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of different hashes, one chunk after the other; a pair may come several times."""
    # Every eighth bit: each part then has bits of all frequencies, and none is the same for all pictures.
    bits = np.arange(64).reshape(-1, _PARTS).T
    parts = np.zeros((_PARTS, len(values)), np.uint64)
    for part, places in enumerate(bits):
        for place in places:
            parts[part] = (parts[part] << np.uint64(1)) | ((values >> np.uint64(place)) & np.uint64(1))
    for a, b in combinations(range(_PARTS), 2):
        keys = (parts[a] << np.uint64(8)) | parts[b]
        order = np.argsort(keys, kind="stable")
        keys, sorted_values = keys[order], values[order]
        live, step = np.arange(len(keys)), 1
        while len(live):
            live = live[live + step < len(keys)]
            live = live[keys[live] == keys[live + step]]
            close = live[_count_bits(sorted_values[live] ^ sorted_values[live + step]) <= most]
            if len(close):
                yield order[close], order[close + step]
            step += 1


def _count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The number of ones of each (NumPy has a function for it from 2.0 on)."""
    one, two, four = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    values = values - ((values >> np.uint64(1)) & one)
    values = (values & two) + ((values >> np.uint64(2)) & two)
    values = (values + (values >> np.uint64(4))) & four
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)


def _have_same_colors(minis: RGB, even: Bools, pairs: Ints) -> Bools:
    """Whether no part of the pictures is of another color."""
    blocks = minis.reshape(-1, 4, 4, 6, 3, 3).mean(axis=(2, 4), dtype=np.float32).reshape(-1, 24, 3)
    red, green, blue = blocks[..., 0], blocks[..., 1], blocks[..., 2]
    tints = np.stack([red - green, (red + green) / 2 - blue], axis=-1)
    same = np.empty(len(pairs), bool)
    for begin in range(0, len(pairs), _CHUNK):
        a, b = pairs[begin : begin + _CHUNK].T
        both = even[a] & even[b]
        tint = np.abs(tints[a] - tints[b]).max(axis=(1, 2)) <= np.where(both, _TINT_EVEN, _TINT_BUSY)
        part = np.abs(blocks[a] - blocks[b]).max(axis=(1, 2)) <= np.where(both, _PART_EVEN, _PART_BUSY)
        same[begin : begin + _CHUNK] = tint & part
    return same


def _have_same_detail(views: Sequence[View], even: Bools, pairs: Ints) -> Bools:
    """Whether what is finer than the outlines correlates, and the garments are about equally light."""
    needed, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    detail = np.empty((len(needed), _SIDE, _SIDE), np.int8)
    content = np.empty((len(needed), _SIDE, _SIDE), bool)
    shade = np.empty((len(needed), 3), np.float32)
    for place, number in enumerate(needed):
        detail[place], content[place], shade[place] = _read_detail(views[number].thumbnail, bool(even[number]))
    same = np.empty(len(pairs), bool)
    for begin in range(0, len(pairs), _CHUNK // 4):
        a, b = places[begin : begin + _CHUNK // 4].T
        both = even[needed[a]] & even[needed[b]]
        mask = content[a] | content[b]
        left, right = detail[a].astype(np.float32) * mask, detail[b].astype(np.float32) * mask
        energy = (left**2).sum(axis=(1, 2)) * (right**2).sum(axis=(1, 2))
        correlation = (left * right).sum(axis=(1, 2)) / np.sqrt(np.maximum(energy, 1.0))
        same[begin : begin + _CHUNK // 4] = (correlation >= np.where(both, _DETAIL_EVEN, _DETAIL_BUSY)) & (
            np.abs(shade[a] - shade[b]).max(axis=1) <= np.where(both, _SHADE_EVEN, _SHADE_BUSY)
        )
    return same


def _read_detail(thumbnail: bytes, even: bool) -> tuple[NDArray[np.int8], Bools, Floats]:
    """A thumbnail -> its grey minus its surroundings (48, 48), where the content is, and the content's mean RGB (3,).

    All is content unless the ground is even.
    """
    with Image.open(io.BytesIO(thumbnail)) as image:
        # Smoothly, or two sizes of a small picture would differ in their stairs.
        pixels = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    grey = np.pad(_to_grey(pixels[None])[0], 1, mode="edge")
    grey = (grey[:-2] + 2 * grey[1:-1] + grey[2:]) / 4
    grey = (grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]) / 4
    padded = np.pad(grey, _BLUR, mode="edge")
    sums = np.pad(padded, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    size = 2 * _BLUR + 1
    mean = (sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]) / size**2
    content = np.ones((_SIDE, _SIDE), bool)
    if even:
        ground = np.median(list_border(pixels[None])[0], axis=0).astype(np.int16)
        content = np.abs(pixels.astype(np.int16) - ground).max(axis=2) > _GROUND
        if not content.any():
            content[:] = True
    detail = np.clip(np.rint(grey - mean), -127, 127).astype(np.int8)
    return detail, content, pixels[content].mean(axis=0, dtype=np.float32)


def _to_grey(pictures: RGB) -> Floats:
    grey: Floats = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return grey


def _make_cosines(size: int) -> Floats:
    """The DCT's waves 1 to 8 over `size` pixels: the mean is left out, so that light does not count."""
    angles = np.pi * np.arange(1, 9)[:, None] * (2 * np.arange(size)[None, :] + 1) / (2 * size)
    return np.cos(angles).astype(np.float32)
