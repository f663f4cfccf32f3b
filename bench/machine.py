"""What the kernel knows: what a command or a process used, how busy the machine is, and how quick its disk."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30
HZ = os.sysconf("SC_CLK_TCK")


def describe():
    """The machine, the moment and how busy it is: stands in every result."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return {"date": time.strftime("%Y-%m-%d %H:%M"), "load": round(os.getloadavg()[0], 2), "cores": os.cpu_count(),
            "cpu": cpu[1] if cpu else os.uname().machine}


def measured(command, **options):
    """What a command cost, by the kernel's own account of it and the children that it waited for; and what it printed."""
    command = [str(part) for part in command]
    others, begun = busy_s(), time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    shown = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall, cpu = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}")
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "rss_mib": usage.ru_maxrss // 1024,
            "others_cpu_s": round(max(0.0, busy_s() - others - cpu), 2)}, shown


def busy_s():
    """CPU seconds that everything on the machine has used."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / HZ


def cpu_s(pid):
    """CPU seconds that a process has used, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def rss_mib(pid):
    """Resident memory of a process, the pages of files included."""
    return status_mib(pid, "VmRSS")


def rss_mib_most(pid):
    """The most that it ever was."""
    return status_mib(pid, "VmHWM")


def status_mib(pid, field):
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) // 1024


def need_disk(folder, gib):
    """Ends the program where a step would fill the disk."""
    free = shutil.disk_usage(folder).free / GIB
    if free < gib + 2:
        sys.exit(f"this needs {gib + 2:.0f} GiB free below {folder}, there are {free:.0f}: free some or name another --work")


def disk_sync_ms(folder, size, seconds=1.5):
    """The median of appending `size` bytes and calling fdatasync: the disk's own latency, the floor of a durable answer."""
    return round(statistics.median(disk_syncs_ms(folder, size, seconds)), 3)


def disk_sync_mb_s(folder, size, seconds=1.5):
    """Bytes that the disk takes a second when `size` of them are appended and synced at a time: the ceiling of a durable log."""
    return round(size / 1000 / statistics.mean(disk_syncs_ms(folder, size, seconds)), 1)


def disk_syncs_ms(folder, size, seconds):
    """How long each append of `size` bytes and its fdatasync took."""
    path, block, times = Path(folder) / "sync-probe", os.urandom(size), []
    with path.open("wb", buffering=0) as file:
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            file.write(block)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begun) * 1000)
    path.unlink()
    return times


def files(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def disk_bytes(folder):
    """What a folder's files take."""
    return sum(path.stat().st_blocks * 512 for path in files(folder))


def read_pages(folder):
    """Reads a folder into memory, so that nobody pays for being first."""
    for path in files(folder):
        with path.open("rb") as file:
            while file.read(8 * MIB):
                pass


def forget_pages(folder):
    """Drops a folder's pages from memory, so that the next reader meets the disk."""
    for path in files(folder):
        with path.open("rb") as file:
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
