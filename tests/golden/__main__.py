"""Computes the golden results and prints them as JSON, or, with --renew, records them as the right ones from now on.

    python -m tests.golden --renew

It uses only arithmetic that processors have in common: no oneDNN, which chooses kernels by the processor's caches, and
one branch of MKL's and NumPy's code. Where a processor still rounds differently, the probe differs, and its results are
recorded apart.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")
ARITHMETIC = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "CUDA_VISIBLE_DEVICES": "",
}


def compute() -> dict[str, Any]:
    """`anywhere`: what no processor may change; `arithmetic`: what follows from `probe` and torch's version."""
    import torch

    from tests.golden import data, training

    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(False)
    return {
        "torch": torch.__version__.partition("+")[0],
        "probe": probe(),
        "anywhere": {"shards": data.shards(), "order": data.order()},
        "arithmetic": training.all_runs() | {"two workers": _two_workers(), "report": data.report()},
    }


def probe() -> str:
    """A digest of what torch and NumPy give for operations as training uses them, without a line of raygan."""
    import numpy as np
    import torch

    made = torch.Generator().manual_seed(0)
    x = torch.randn(4, 8, 16, 16, generator=made).to(memory_format=torch.channels_last).requires_grad_()
    w = torch.randn(16, 8, 4, 4, generator=made).requires_grad_()
    y = torch.nn.functional.batch_norm(torch.conv2d(x, w, stride=2, padding=1), None, None, training=True)
    y = torch.nn.functional.conv_transpose2d(y.relu(), w, stride=2, padding=1).tanh().square().mean()
    y.backward()
    square = torch.randn(64, 64, generator=made, dtype=torch.float64)
    angles = np.linspace(0, 6, 1000)
    found = [x.grad, w.grad, torch.linalg.eigvalsh(square @ square.T), np.log(angles + 1), np.cos(angles)]
    digest = hashlib.sha256()
    for array in found:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def _two_workers() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        subprocess.run([*command, "-m", "tests.golden.training", str(out)], check=True, stderr=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def in_a_process() -> dict[str, Any]:
    """The results, from a new process: its arithmetic is fixed before NumPy and torch are imported."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-m", "tests.golden"],
            env=os.environ | ARITHMETIC | {"RAYGAN_CACHE": cache},
            capture_output=True,
            text=True,
            check=False,
            cwd=FILE.parents[2],
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def renew() -> None:
    found = in_a_process()
    known = json.loads(FILE.read_text()) if FILE.exists() else {"arithmetic": {}}
    known["anywhere"] = found["anywhere"]
    known["arithmetic"][f"torch {found['torch']}, probe {found['probe']}"] = found["arithmetic"]
    FILE.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--renew"]:
        renew()
    else:
        out, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO())  # what libraries print is no result
        json.dump(compute(), out)
