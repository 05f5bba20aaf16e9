#!/usr/bin/env python3
"""The polynomials of kernels/cpu/vec_math.h.

    python3 tools/fit_kernels.py        (numpy 1.24 or later, mpmath 1.3)

Least maximum of the relative error at Chebyshev points, by Lawson's iteration of weighted least
squares; the constants in the header are this output rounded to float. `phi`: Phi(-a) =
exp(-a^2/2) t P(t) with t = 1/(1 + 0.305 a) on 0 <= a <= 14.5. `exp`: exp(r) = 1 + r + r^2 q(r) on
|r| <= ln2/2. `exp2`: 2^f = 1 + f q(f) on 0 <= f <= 1. `gelu` and `gelu tanh`: what x is multiplied
by, 1/2 + x P(u) on |x| <= cut, u = 2 (x / cut)^2 - 1; the error is that of the product, beside its
smaller side (of x and -x) and 0.03. At the cut it goes a little beyond 0 and 1.
"""
import mpmath
import numpy as np

mpmath.mp.dps = 40


def fit(columns, target, rounds=300):
    """Coefficients c for which max |columns @ c - target| is least, and that maximum."""
    weight = np.ones(len(target))
    best = None
    for _ in range(rounds):
        root = np.sqrt(weight)
        c = np.linalg.lstsq(columns * root[:, None], target * root, rcond=None)[0]
        error = np.abs(columns @ c - target)
        if best is None or error.max() < best[0]:
            best = (error.max(), c)
        weight = weight * error / error.max() + 1e-12
        weight /= weight.sum()
    return best


def points(low, high, n):
    return (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)


def show(name, error, coefficients):
    print(f"{name}: relative error {error:.2e}, lowest power first")
    for c in coefficients:
        print(f"    {float(np.float32(c))!r}")


def fit_phi(p=0.305, degree=7, last=14.5):
    t = points(1 / (1 + p * last), 1, 800)
    a = [mpmath.mpf((1 / x - 1) / p) for x in t]
    scaled = [mpmath.erfc(x / mpmath.sqrt(2)) / 2 * mpmath.exp(x * x / 2) for x in a]
    columns = np.vander(t, degree + 1, increasing=True) * t[:, None]
    columns /= np.array([float(y) for y in scaled])[:, None]
    show("phi", *fit(columns, np.ones(len(t))))


def fit_exp(degree=4):
    half = float(mpmath.log(2)) / 2 * 1.0001
    r = points(-half, half, 400)
    weight = r * r / np.exp(r)
    q = [(mpmath.exp(mpmath.mpf(x)) - 1 - mpmath.mpf(x)) / mpmath.mpf(x) ** 2 for x in r]
    columns = np.vander(r, degree + 1, increasing=True) * weight[:, None]
    show("exp", *fit(columns, np.array([float(v) for v in q]) * weight, 200))


def fit_exp2(degree=4):
    f = points(0, 1, 400)
    weight = f / 2**f
    q = [(mpmath.mpf(2) ** mpmath.mpf(x) - 1) / mpmath.mpf(x) for x in f]
    columns = np.vander(f, degree + 1, increasing=True) * weight[:, None]
    show("exp2", *fit(columns, np.array([float(v) for v in q]) * weight, 200))


def fit_gate(name, gate, cut, degree):
    x = points(1e-3, cut, 1500)
    g = np.array([float(gate(mpmath.mpf(v))) for v in x])
    weight = x / (x * (1 - g) + 0.03)
    columns = np.vander(2 * x * x / cut**2 - 1, degree + 1, increasing=True)
    error, c = fit(columns * (x * weight)[:, None], (g - 0.5) * weight, 2000)
    c[0] += max(0, (0.5 + 2e-7) / cut - c.sum())
    show(name, error, c)


def gate_of_tanh(x):
    return 1 / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (x + 0.044715 * x**3)))


fit_phi()
fit_exp()
fit_gate("gelu", lambda x: (1 + mpmath.erf(x / mpmath.sqrt(2))) / 2, 5.6, 14)
fit_gate("gelu tanh", gate_of_tanh, 5.0, 12)
fit_exp2()
