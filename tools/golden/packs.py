"""What make_methods.py and make_vectors.py share: a file of arrays, and the tolerance of a case."""
import numpy as np

CLOSE, USABLE = 2e-5, 2e-4  # float32 errors: a fifth of what the C test allows


class Pack:
    """Arrays, one behind the other in one file of float32."""

    def __init__(self, name):
        self.file, self.parts, self.size = name + ".npy", [], 0

    def add(self, array):
        assert np.isfinite(array).all()
        place = "offset=%d shape=%s" % (self.size, ",".join(map(str, array.shape)))
        self.parts.append(np.asarray(array, dtype="<f4").reshape(-1))
        self.size += array.size
        return place

    def save(self, folder):
        np.save(folder / self.file, np.concatenate(self.parts))
        print(f"{self.file}: {self.size * 4} bytes", flush=True)


def difference(found, expected):
    return np.abs(found - expected).max() / (np.abs(expected).max() or 1)


def tolerance(error):
    """Of a case that PyTorch in float32 gets wrong by `error`, as a share of the map's maximum: "map"
    (1e-4), "wide" (1e-3) where rounding alone takes a good part of that, None where it says nothing."""
    return "map" if error <= CLOSE else "wide" if error <= USABLE else None
