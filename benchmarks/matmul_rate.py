# Run, from the repository root, for 256 tokens of an encoder of width 384 on one thread:
#   echo | python benchmarks/matmul_rate.py 256 384 1536 1
"""Floating-point operations per second of a plain fp32 matrix product on the CPU.

It prints `ready` after a warm-up and starts with the next line on its input, so that several processes can start
together.
"""

import statistics
import sys
import time

import torch

SECONDS = 3.0


def main() -> None:
    """Multiply rows × inner by inner × columns for some seconds and print the median rate of a product."""
    rows, inner, columns, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    left, right, product = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
    for _ in range(20):
        torch.mm(left, right, out=product)
    print("ready", flush=True)
    sys.stdin.readline()
    durations = []
    end = time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < end:
        torch.mm(left, right, out=product)
        durations.append(time.perf_counter() - started)
    print(2 * rows * inner * columns / statistics.median(durations))


if __name__ == "__main__":
    main()
