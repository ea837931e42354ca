"""A certificate authority for one cluster, by the ``openssl`` command."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.unavailable import UnavailableError

_EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = "30"


@dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Issues the certificates of a cluster; all files lie in ``folder``."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """Make the authority's own certificate, and the key pair that signs tokens of ServiceAccounts."""
        if shutil.which("openssl") is None:
            raise UnavailableError("the openssl command is missing")
        folder.mkdir(mode=0o700, parents=True)
        authority = cls(folder)
        own = authority.own
        _openssl(
            *("req", "-x509", *_EC_KEY, "-days", _DAYS, "-subj", "/CN=kubernetes-ca"),
            *("-keyout", str(own.key), "-out", str(own.certificate)),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        )
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(authority.token_key))
        _openssl("ec", "-in", str(authority.token_key), "-pubout", "-out", str(authority.token_public_key))
        return authority

    @property
    def own(self) -> Certificate:
        """The authority's own certificate."""
        return Certificate(self.folder / "ca.crt", self.folder / "ca.key")

    @property
    def token_key(self) -> Path:
        """The key that signs tokens of ServiceAccounts."""
        return self.folder / "tokens.key"

    @property
    def token_public_key(self) -> Path:
        """The key that tokens of ServiceAccounts are checked with."""
        return self.folder / "tokens.pub"

    def server(self, name: str, subject: str, addresses: Sequence[str]) -> Certificate:
        """Issue a server's certificate; ``addresses`` are such as ``DNS:localhost`` and ``IP:127.0.0.1``."""
        return self._issue(name, subject, f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(addresses)}")

    def client(self, name: str, subject: str) -> Certificate:
        """Issue a client's certificate; the subject's CN is its user name, each O a group."""
        return self._issue(name, subject, "extendedKeyUsage=clientAuth")

    def kubeconfig(self, name: str, subject: str, server: str) -> Path:
        """Issue a client's certificate and write the kubeconfig that uses it against ``server`` (a URL)."""
        client = self.client(name, subject)
        user = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
        target = self.folder / f"{name}.kubeconfig"
        write_kubeconfig(target, {"server": server, "certificate-authority": str(self.own.certificate)}, user)
        return target

    def _issue(self, name: str, subject: str, extensions: str) -> Certificate:
        issued = Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        request, extension_file = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extension_file.write_text(extensions + "\n")
        _openssl("req", "-new", *_EC_KEY, "-subj", subject, "-keyout", str(issued.key), "-out", str(request))
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", _DAYS, "-extfile", str(extension_file)),
            *("-CA", str(self.own.certificate), "-CAkey", str(self.own.key), "-CAcreateserial"),
            *("-out", str(issued.certificate)),
        )
        return issued


def write_kubeconfig(target: Path, cluster: dict[str, str], user: dict[str, str]) -> None:
    """Write a kubeconfig with one cluster and one user, readable by its owner alone."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    target.touch(mode=0o600)
    target.write_text(json.dumps(document, indent=1))


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
