"""GFLOP/s of f32 products of numpy: for every line that comes in, the median of some. a times b transposed, as linear layers multiply."""

import sys
import time

import numpy

size, repeats = int(sys.argv[1]), int(sys.argv[2])
generator = numpy.random.default_rng(1)
a = generator.standard_normal((size, size), dtype=numpy.float32)
b = generator.standard_normal((size, size), dtype=numpy.float32)
out = numpy.empty((size, size), dtype=numpy.float32)

for _ in sys.stdin:
    times = []
    for i in range(repeats + 3):
        start = time.perf_counter()
        numpy.matmul(a, b.T, out=out)
        times.append(time.perf_counter() - start)
    print(2 * size**3 / sorted(times[3:])[repeats // 2] / 1e9, flush=True)
