"""Maps as other people keep them: Gaussian fields whose strength is sigma_8 Omega_m^0.6, in folders of every habit."""

import csv
from pathlib import Path

import numpy as np
from astropy.io import fits

DESIGN = [(0.22, 0.72), (0.22, 0.9), (0.3, 0.66), (0.3, 0.82), (0.3, 1.0), (0.38, 0.72), (0.38, 0.9)]
FIDUCIAL = (0.3, 0.82)


def fields(universe: tuple[float, float], number: int, *, seed: int, pixels: int = 32, bins: int = 1) -> np.ndarray:
    """Kappa [map, bin, y, x] with most of its power on large scales, the deeper bins stronger."""
    draw = np.random.default_rng(seed)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(pixels), np.fft.rfftfreq(pixels), indexing="ij")) * pixels
    window = 1 / (1 + (k / 4) ** 1.5)
    white = np.fft.rfft2(draw.normal(size=(number, 1, pixels, pixels)))
    shape = np.fft.irfft2(white * window, s=(pixels, pixels))
    strength = 0.02 * universe[1] / 0.82 * (universe[0] / 0.3) ** 0.6 * np.linspace(0.7, 1.3, bins) if bins > 1 else 0
    scale = strength if bins > 1 else 0.02 * universe[1] / 0.82 * (universe[0] / 0.3) ** 0.6
    return (np.reshape(scale, (-1, 1, 1)) * shape / shape.std()).astype(np.float32)


def rows(n_maps: int, unequal: bool) -> list[tuple[tuple[float, float], str, int, int]]:
    """Universe, split, seed and number of maps of each box; of the second model there are fewer to test on."""
    found = []
    for model, universe in enumerate(DESIGN):
        found += [(universe, "train", 2 * model, n_maps)]
        found += [(universe, "test", 2 * model + 1, n_maps - 3 * (unequal and model == 1))]
    return [*found, *((FIDUCIAL, "fiducial", 100 + box, n_maps // 2) for box in range(2))]


def fits_folder(
    folder: Path,
    *,
    n_maps: int = 48,
    bins: int = 1,
    side: float = 3.5,
    noise: float = 0.0,
    masked: bool = False,
    bad: bool = False,
    unequal: bool = False,
    pixels: int = 32,
) -> Path:
    """A folder of FITS files, an extension for each bin, with `maps.csv`."""
    folder.mkdir(parents=True)
    header = fits.Header({"ANGLE": side})
    mask = np.ones((pixels, pixels), np.uint8)
    mask[:5, :7] = 0
    if masked:
        fits.writeto(folder / "mask.fits", mask)
    draw = np.random.default_rng(5)
    lines = [["file", "omega_m", "sigma_8", "split", "seed", "redshift", *(["mask"] if masked else [])]]
    redshifts = ";".join(f"{0.5 + 0.4 * b:.1f}" for b in range(bins))
    for universe, split, seed, number in rows(n_maps, unequal):
        for i, kappa in enumerate(fields(universe, number, seed=seed, pixels=pixels, bins=bins)):
            kappa = kappa + draw.normal(scale=noise, size=kappa.shape).astype(np.float32)
            if masked:
                kappa = np.where(mask == 1, kappa, np.nan).astype(np.float32)
            name = f"{split}{seed}_{i}.fits"
            images = [fits.ImageHDU(one, header, name=f"BIN{b + 1}") for b, one in enumerate(kappa)]
            fits.HDUList([fits.PrimaryHDU(), *images]).writeto(folder / name)
            names = ";".join(f"{name}[BIN{b + 1}]" for b in range(bins))
            lines.append([names, *map(str, universe), split, str(seed), redshifts, *(["mask.fits"] if masked else [])])
    if bad:
        (folder / lines[3][0].split("[")[0]).write_bytes(b"no image at all")
    with (folder / "maps.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return folder


def array_with_labels(folder: Path, *, n_maps: int = 48, pixels: int = 32) -> tuple[Path, Path]:
    """One array [model, map, y, x] and the table of its models, as challenges and simulators write them."""
    folder.mkdir(parents=True)
    universes = [*DESIGN, FIDUCIAL]
    kappa = [fields(one, n_maps, seed=seed, pixels=pixels)[:, 0] for seed, one in enumerate(universes)]
    np.save(folder / "kappa.npy", np.stack(kappa))
    table = [["omega_m", "s_8"], *([om, s8 * (om / 0.3) ** 0.5] for om, s8 in universes)]
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(table)
    return folder / "kappa.npy", folder / "labels.csv"
