"""Outputs of nvidia-smi and of torch's collect_env, as people posted them in public issues, cut to what matters."""

from __future__ import annotations

from typing import Any

__all__ = ["MACHINE_TEXTS"]

_HEAD = "|-------------------------------+----------------------+----------------------+\n"

MACHINE_TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "smi of driver 450": (
        f"""Wed Jul 29 21:51:11 2020
+-----------------------------------------------------------------------------+
| NVIDIA-SMI 450.57       Driver Version: 450.57       CUDA Version: 11.0     |
{_HEAD}| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|                               |                      |               MIG M. |
|===============================+======================+======================|
|   0  TITAN Xp            On   | 00000000:17:00.0 Off |                  N/A |
| 23%   39C    P8     9W / 250W |      7MiB / 12196MiB |      0%      Default |
|                               |                      |                  N/A |
+-------------------------------+----------------------+----------------------+
""",
        {"driver": [450, 57], "gpus": ["6.1"]},
    ),
    "smi in a container, with what was typed": (
        """[nix-shell:~]$  kubectl exec gpu-test -c main -- nvidia-smi
Tue Sep  3 23:10:20 2024
+-----------------------------------------------------------------------------+
| NVIDIA-SMI 470.256.02   Driver Version: 470.256.02   CUDA Version: 11.4     |
|===============================+======================+======================|
|   0  NVIDIA A10G         On   | 00000000:00:1E.0 Off |                    0 |
|  0%   25C    P8     9W / 300W |      0MiB / 22731MiB |      0%      Default |
+-------------------------------+----------------------+----------------------+
+-----------------------------------------------------------------------------+
| Processes:                                                                  |
|  GPU   GI   CI        PID   Type   Process name                  GPU Memory |
|    0   N/A  N/A      1752    C+G   ...b3d8bbwe\\WinStore.App.exe    N/A      |
+-----------------------------------------------------------------------------+
""",
        {"driver": [470, 256, 2], "gpus": ["8.6"]},
    ),
    "smi of driver 610, which calls them KMD and UMD": (
        """Sun Jun  7 08:16:57 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 610.43.02              KMD Version: 610.43.02     CUDA UMD Version: 13.3     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|=========================================+========================+======================|
|   0  NVIDIA B200                    On  |   00000000:63:00.0 Off |                    0 |
| N/A   26C    P0            139W / 1000W |       0MiB / 183359MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA B200                    On  |   00000000:68:00.0 Off |                    0 |
""",
        {"driver": [610, 43, 2], "gpus": ["10.0"]},
    ),
    "smi with a name that is cut": (
        """| NVIDIA-SMI 610.43.03              KMD Version: 610.43.03     CUDA UMD Version: 13.3     |
|   0  NVIDIA GeForce RTX 3080 ...    Off |   00000000:01:00.0 Off |                  N/A |
""",
        {"driver": [610, 43, 3], "gpus": ["8.6"]},
    ),
    "smi on Windows": (
        """| NVIDIA-SMI 460.15       Driver Version: 460.15       CUDA Version: 11.1     |
| GPU  Name            TCC/WDDM | Bus-Id        Disp.A | Volatile Uncorr. ECC |
|   0  GeForce RTX 207... WDDM  | 00000000:01:00.0 Off |                  N/A |
""",
        {"driver": [460, 15], "gpus": ["7.5"]},
    ),
    "smi in WSL, whose CUDA is an error": (
        """| NVIDIA-SMI 545.46                 Driver Version: 546.80       CUDA Version: ERR!     |
|   0  NVIDIA GeForce RTX 3060 ...    On  | 00000000:01:00.0  On |                  N/A |
""",
        {"driver": [546, 80], "gpus": ["8.6"]},
    ),
    "smi of 2014": (
        """| NVIDIA-SMI 331.62     Driver Version: 331.62         |
|   0  GeForce GTX 680     Off  | 0000:03:00.0     N/A |                  N/A |
""",
        {"driver": [331, 62]},
    ),
    "smi -q": (
        """==============NVSMI LOG==============

Timestamp                                 : Wed May  4 10:57:14 2022
Driver Version                            : 510.68.02
CUDA Version                              : 11.6

Attached GPUs                             : 1
GPU 00000000:82:00.0
    Product Name                          : NVIDIA GeForce GTX 1650
    Product Brand                         : GeForce
""",
        {"driver": [510, 68, 2], "gpus": ["7.5"]},
    ),
    "smi -L": (
        "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6)\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-6f2)\n",
        {"gpus": ["8.0", "9.0"]},
    ),
    "smi as CSV": (
        "name, driver_version, compute_cap\nNVIDIA Graphics Device, 580.95.05, 12.1\n",
        {"driver": [580, 95, 5], "gpus": ["12.1"]},
    ),
    "smi without a driver": (
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that it is running.\n",
        {},
    ),
    "collect_env of three GPUs": (
        """Collecting environment information...
PyTorch version: 2.9.1+cu130
Is debug build: False
CUDA used to build PyTorch: 13.0
ROCM used to build PyTorch: N/A

OS: Ubuntu 22.04.5 LTS (x86_64)
GCC version: (Ubuntu 11.4.0-1ubuntu1~22.04.2) 11.4.0
Libc version: glibc-2.35

Python version: 3.11.14 | packaged by conda-forge | (main, Oct 22 2025, 22:46:25) [GCC 14.3.0] (64-bit runtime)
Python platform: Linux-5.15.0-139-generic-x86_64-with-glibc2.35
Is CUDA available: True
CUDA runtime version: 13.0.88
CUDA_MODULE_LOADING set to:
GPU models and configuration:
GPU 0: NVIDIA GeForce RTX 3090
GPU 1: NVIDIA GeForce RTX 3090
GPU 2: NVIDIA GeForce RTX 3090

Nvidia driver version: 580.82.09
cuDNN version: Could not collect
""",
        {
            "system": "linux",
            "cpu": "x86_64",
            "libc": "glibc",
            "release": [2, 35],
            "python": "3.11.14",
            "free_threaded": False,
            "torch": "2.9.1+cu130",
            "torch_cuda": "13.0",
            "driver": [580, 82, 9],
            "gpus": ["8.6"],
        },
    ),
    "collect_env of a fork, with blanks before colons, on aarch64": (
        """INFO 05-20 07:00:40 [__init__.py:239] Automatically detected platform cuda.
==============================
        System Info
==============================
OS                           : Ubuntu 22.04.5 LTS (aarch64)
Libc version                 : glibc-2.35

PyTorch version              : 2.6.0+cu126
CUDA used to build PyTorch   : 12.6
Python version               : 3.12.9 (main, Mar 17 2025, 20:48:41) [GCC 6.3.0 20170516] (64-bit runtime)
Python platform              : Linux-6.8.0-1027-nvidia-64k-aarch64-with-glibc2.35
CUDA runtime version         : 12.4.131
GPU models and configuration : GPU 0: NVIDIA GH200 144G HBM3e
Nvidia driver version        : 560.35.05
""",
        {
            "system": "linux",
            "cpu": "aarch64",
            "libc": "glibc",
            "release": [2, 35],
            "python": "3.12.9",
            "free_threaded": False,
            "torch": "2.6.0+cu126",
            "torch_cuda": "12.6",
            "driver": [560, 35, 5],
            "gpus": ["9.0"],
        },
    ),
    "collect_env of a Jetson, which knows neither driver nor CUDA": (
        """PyTorch version: 2.3.0
CUDA used to build PyTorch: 12.2
OS: Ubuntu 22.04.4 LTS (aarch64)
Libc version: glibc-2.35
Python version: 3.10.12 (main, Jul 29 2024, 16:56:48) [GCC 11.4.0] (64-bit runtime)
Python platform: Linux-5.15.136-tegra-aarch64-with-glibc2.35
GPU models and configuration: GPU 0: Orin (nvgpu)
Nvidia driver version: N/A
""",
        {
            "system": "linux",
            "cpu": "aarch64",
            "libc": "glibc",
            "release": [2, 35],
            "python": "3.10.12",
            "free_threaded": False,
            "torch": "2.3.0",
            "torch_cuda": "12.2",
            "gpus": ["8.7"],
        },
    ),
    "collect_env on Windows without CUDA": (
        """PyTorch version: 2.8.0.dev20250528+cpu
CUDA used to build PyTorch: None
OS: Microsoft Windows 11 Enterprise (10.0.22631 64-bit)
Libc version: N/A
Python version: 3.10.17 | packaged by conda-forge | (main, Apr 10 2025) [MSC v.1943 64 bit (AMD64)] (64-bit runtime)
Python platform: Windows-10-10.0.22631-SP0
Is CUDA available: False
GPU models and configuration: No CUDA
Nvidia driver version: No CUDA
""",
        {
            "system": "windows",
            "cpu": "x86_64",
            "python": "3.10.17",
            "free_threaded": False,
            "gpus": [],
            "torch": "2.8.0.dev20250528+cpu",
        },
    ),
    "collect_env on a Mac": (
        """PyTorch version: 2.7.0
CUDA used to build PyTorch: None
OS: macOS 14.5 (arm64)
Python version: 3.13.1 experimental free-threading build | packaged by conda-forge (64-bit runtime)
Python platform: macOS-14.5-arm64-arm-64bit
GPU models and configuration: Could not collect
""",
        {
            "system": "macos",
            "cpu": "aarch64",
            "release": [14, 5],
            "python": "3.13.1",
            "free_threaded": True,
            "torch": "2.7.0",
        },
    ),
    "collect_env with a warning in front, in colour": (
        """\x1b[33m/opt/torch/cuda/__init__.py:138: UserWarning: The NVIDIA driver on your system is too old.\x1b[0m\r
PyTorch version: 2.1.0+cu121\r
CUDA used to build PyTorch: 12.1\r
OS: Ubuntu 20.04.6 LTS (x86_64)\r
Libc version: glibc-2.31\r
Python version: 3.11.6 (main, Oct 31 2023) [GCC 9.4.0] (64-bit runtime)\r
Python platform: Linux-5.15.107+-x86_64-with-glibc2.31\r
GPU models and configuration: GPU 0: Tesla T4\r
Nvidia driver version: 470.182.03\r
""",
        {
            "system": "linux",
            "cpu": "x86_64",
            "libc": "glibc",
            "release": [2, 31],
            "python": "3.11.6",
            "free_threaded": False,
            "torch": "2.1.0+cu121",
            "torch_cuda": "12.1",
            "driver": [470, 182, 3],
            "gpus": ["7.5"],
        },
    ),
    "nothing of a machine": ("Dear all, my GPU does not work. It is version 3 of something: none\n", {}),
    "a table without end": ("|" * 200_000, {}),
    "words without end": ("GPU 0: " + "a" * 200_000 + "\nOS : " + " " * 200_000, {}),
}
"""Name -> text, and what it says of a machine."""
