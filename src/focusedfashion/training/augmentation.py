"""Random changes of training pictures, a batch at a time on the device, reproducible from a seed."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

from focusedfashion.training.recipe import Augmentation


def change_pictures(
    pictures: Tensor, masks: Tensor | None, scenes: Tensor, settings: Augmentation, seed: int
) -> tuple[Tensor, Tensor]:
    """Pictures uint8 (n, h, w, 3) -> float (n, 3, h, w) in 0..255, and which of them kept their color, bool (n,).

    `masks`, uint8 (n, h, w), is 1 on the garment where the ground is known to be white, and 0 everywhere on a picture
    whose ground is not known; None where no ground is to be replaced. `scenes`, uint8 (m, h, w, 3), are photos whose
    corners serve as other grounds. A change that the settings do not ask for costs nothing.
    """
    random = torch.Generator(pictures.device).manual_seed(seed)
    n = len(pictures)
    kept = torch.ones(n, dtype=torch.bool, device=pictures.device)
    pixels = pictures.permute(0, 3, 1, 2)
    if not settings.moves and not settings.colors:
        return pixels.float(), kept  # with the strides of the pictures: channels last
    pixels = torch.empty(pixels.shape, device=pictures.device).copy_(pixels)  # planes, in one pass
    # A copy with the mask as its fourth channel moves as one.
    stacked = pixels if masks is None else torch.cat([pixels, masks.unsqueeze(1).float() * 255], dim=1)
    if settings.moves:
        stacked = _move(stacked, settings, random)
    pixels, mask = stacked[:, :3], stacked[:, 3:] / 255

    if settings.background and masks is not None:
        known = (masks > 0).flatten(1).any(dim=1)
        replace = known & (_uniform(n, random) < settings.background)
        if replace.any():
            count = int(replace.sum())
            ground = _make_grounds(scenes, count, pixels.shape[2:], random)
            cover = mask[replace]
            pixels[replace] = pixels[replace] * cover + ground * (1 - cover)

    if settings.recolor:
        turned = _uniform(n, random) < settings.recolor
        kept = ~turned
        if turned.any():
            pixels[turned] = _turn_hue(pixels[turned], random)

    if settings.light or settings.cast:
        brightness = (1 + _spread(n, settings.light, random)).view(n, 1, 1, 1)
        contrast = (1 + _spread(n, settings.light, random)).view(n, 1, 1, 1)
        cast = 1 + _spread(n * 3, settings.cast, random).view(n, 3, 1, 1)
        middle = pixels.mean(dim=(1, 2, 3), keepdim=True)
        # ((pixels - middle) * contrast + middle) * brightness * cast, in two passes
        factor = brightness * cast
        pixels = pixels.mul_(contrast * factor).add_(middle * (1 - contrast) * factor)

    if settings.saturation:
        # grey + (pixels - grey) * amount, as one matrix a picture
        amount = (1 + _spread(n, settings.saturation, random)).view(n, 1, 1)
        matrix = amount * torch.eye(3, device=pixels.device) + (1 - amount) / 3
        pixels = (matrix @ pixels.flatten(2)).view(pixels.shape)

    if settings.blur:
        blurred = _uniform(n, random) < settings.blur
        if blurred.any():
            size = (pixels.shape[2], pixels.shape[3])
            pixels[blurred] = interpolate(avg_pool2d(pixels[blurred], 2), size, mode="bilinear", align_corners=False)
    return pixels.clamp_(0, 255) if settings.colors else pixels, kept


def _uniform(n: int, random: torch.Generator) -> Tensor:
    """n numbers, uniform in 0..1."""
    return torch.rand(n, generator=random, device=random.device)


def _spread(n: int, width: float, random: torch.Generator) -> Tensor:
    """n numbers, uniform in -width..width."""
    return (_uniform(n, random) * 2 - 1) * width


def _move(stacked: Tensor, settings: Augmentation, random: torch.Generator) -> Tensor:
    """Flip, zoom, turn and shift; what comes in from outside repeats the edge."""
    n, _, height, width = stacked.shape
    angle = _spread(n, math.radians(settings.rotation), random)
    zoom = torch.exp(_spread(n, math.log(settings.scale), random))
    mirror = torch.where(_uniform(n, random) < settings.flip, -1.0, 1.0)
    aspect = width / height
    theta = torch.zeros(n, 2, 3, device=stacked.device)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * zoom * angle.cos(), -zoom * angle.sin() / aspect
    theta[:, 1, 0], theta[:, 1, 1] = mirror * zoom * angle.sin() * aspect, zoom * angle.cos()
    theta[:, :, 2] = _spread(2 * n, 2 * settings.shift, random).view(n, 2)
    if settings.flip_vertical:
        theta[:, 1] *= torch.where(_uniform(n, random) < settings.flip_vertical, -1.0, 1.0).unsqueeze(1)
    grid = affine_grid(theta, [n, stacked.shape[1], height, width], align_corners=False)
    return grid_sample(stacked, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _make_grounds(scenes: Tensor, count: int, size: torch.Size, random: torch.Generator) -> Tensor:
    """Grounds, float (count, 3, h, w): corners of photos, enlarged, and even colors."""
    plain = _uniform(count * 3, random).view(count, 3, 1, 1) * 255
    if len(scenes) == 0:
        return plain.expand(count, 3, size[0], size[1])
    chosen = torch.randint(len(scenes), (count,), generator=random, device=random.device)
    corners = torch.randint(4, (count,), generator=random, device=random.device)
    height, width = scenes.shape[1] * 2 // 5, scenes.shape[2] * 2 // 5
    grounds = []
    for index, corner in zip(chosen.tolist(), corners.tolist(), strict=True):
        top = slice(0, height) if corner < 2 else slice(-height, None)
        left = slice(0, width) if corner % 2 == 0 else slice(-width, None)
        grounds.append(scenes[index, top, left])
    stacked = torch.stack(grounds).permute(0, 3, 1, 2).float()
    enlarged = interpolate(stacked, (size[0], size[1]), mode="bilinear", align_corners=False)
    even = _uniform(count, random).view(count, 1, 1, 1) < 0.25
    return torch.where(even, plain, enlarged)


def _turn_hue(pixels: Tensor, random: torch.Generator) -> Tensor:
    """Turns colors around the grey axis by a random angle (a rotation of RGB space about (1, 1, 1))."""
    n = len(pixels)
    angle = (_uniform(n, random) * 2 - 1) * math.pi
    cos, sin = angle.cos(), angle.sin()
    third, root = (1 - cos) / 3, sin / math.sqrt(3)
    a, b, c = cos + third, third - root, third + root
    matrix = torch.stack([torch.stack([a, b, c], 1), torch.stack([c, a, b], 1), torch.stack([b, c, a], 1)], 1)
    return torch.einsum("nij,njhw->nihw", matrix, pixels).clamp(0, 255)
