"""containerd (Debian's 1.6 or a 2.x) with runc and a bridge network, all its state under one folder."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.base_images import PAUSE
from tests.cluster.processes import Processes

BRIDGE = "tv-test0"
POD_RANGE = "10.244.0.0/24"
_PLUGINS = Path("/usr/lib/cni")
_READY_SECONDS = 30
_KUBERNETES = "k8s.io"
"""The containerd namespace of pods."""


@dataclass(frozen=True)
class Containerd:
    """The container runtime whose files all lie under ``state``."""

    state: Path

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.state / "containerd.sock"

    @property
    def runc_state(self) -> Path:
        """Where runc remembers the containers that exist, also when containerd was killed."""
        return self.state / "runc"

    def start(self, processes: Processes) -> None:
        """Start it and wait until it answers."""
        network, settings = self.state / "cni", self.state / "containerd.toml"
        network.mkdir()
        (network / "10-bridge.conflist").write_text(json.dumps(self._network()))
        settings.write_text(_as_toml(self._settings(network)))
        processes.start("containerd", ["containerd", "--config", settings, "--log-level", "warn"])
        processes.wait_until("containerd", lambda: self._ctr("version").returncode == 0, _READY_SECONDS)

    def import_image(self, archive: Path) -> None:
        """Make an image of an archive available to pods, under the name it has in the archive."""
        imported = self._ctr("images", "import", str(archive))
        if imported.returncode:
            raise RuntimeError(f"importing {archive} failed: {imported.stderr.strip()}")

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ctr", "--address", str(self.socket), "--namespace", _KUBERNETES, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def _network(self) -> dict[str, Any]:
        addresses = {
            "type": "host-local",
            "dataDir": str(self.state / "cni-addresses"),
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
        return {"cniVersion": "1.0.0", "name": "talkingvideo-tests", "plugins": [bridge]}

    def _settings(self, network: Path) -> dict[str, Any]:
        runc = {
            "runtime_type": "io.containerd.runc.v2",
            "options": {"SystemdCgroup": False, "Root": str(self.runc_state)},
        }
        runtime = {
            "restrict_oom_score_adj": True,  # Without CAP_SYS_RESOURCE a lower score can't be set.
            "disable_apparmor": True,
            "netns_mounts_under_state_dir": True,
            "containerd": {"default_runtime_name": "runc", "runtimes": {"runc": runc}},
        }
        common = {
            "root": str(self.state / "containerd"),
            "state": str(self.state / "containerd-run"),
            "imports": [],
            "grpc": {"address": str(self.socket)},
        }
        if _major_version() == 1:
            directories = {"bin_dir": str(_PLUGINS), "conf_dir": str(network)}
            cri = {**runtime, "sandbox_image": PAUSE, "cni": directories}
            return {"version": 2, **common, "plugins": {"io.containerd.grpc.v1.cri": cri}}
        directories_v2 = {"bin_dirs": [str(_PLUGINS)], "conf_dir": str(network)}
        plugins = {
            "io.containerd.cri.v1.runtime": {**runtime, "cni": directories_v2},
            "io.containerd.cri.v1.images": {"pinned_images": {"sandbox": PAUSE}},
        }
        return {"version": 3, **common, "disabled_plugins": ["io.containerd.nri.v1.nri"], "plugins": plugins}


def _major_version() -> int:
    said = subprocess.run(["containerd", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\sv?(\d+)\.\d+\.\d+", said)
    if found is None:
        raise RuntimeError(f"containerd --version said {said!r}")
    return int(found[1])


def _as_toml(table: dict[str, Any], path: tuple[str, ...] = ()) -> str:
    """Write tables of strings, numbers, booleans and lists, whose JSON is TOML as well."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    heading = [f"[{'.'.join(json.dumps(part) for part in path)}]"] if path else []
    inner = [_as_toml(value, (*path, key)) for key, value in table.items() if isinstance(value, dict)]
    return "\n".join([*heading, *lines, *inner]) + "\n"
