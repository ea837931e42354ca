"""What whoever holds the operator's token would like to create, each with the reason for which the policies refuse it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Change = Callable[[Manifest], Any]
Attack = tuple[Change, str]


def _pod(job: Manifest) -> Manifest:
    spec: Manifest = job["spec"]["template"]["spec"]
    return spec


def _main(job: Manifest) -> Manifest:
    container: Manifest = _pod(job)["containers"][0]
    return container


def _pod_field(**fields: Any) -> Change:
    return lambda job: _pod(job).update(fields)


def _field(**fields: Any) -> Change:
    return lambda job: _main(job).update(fields)


def _init_field(**fields: Any) -> Change:
    return lambda job: _pod(job)["initContainers"][0].update(fields)


def _security(**fields: Any) -> Change:
    return lambda job: _main(job)["securityContext"].update(fields)


def _pod_security(**fields: Any) -> Change:
    return lambda job: _pod(job)["securityContext"].update(fields)


def _spec(**fields: Any) -> Change:
    return lambda job: job["spec"].update(fields)


def _env(**entry: Any) -> Change:
    return lambda job: _main(job)["env"].append(entry)


def _env_value(name: str, value: str) -> Change:
    def change(job: Manifest) -> None:
        kept = [entry for entry in _main(job)["env"] if entry["name"] != name]
        _main(job)["env"] = [*kept, {"name": name, "value": value}]

    return change


def _volume(name: str = "more", **source: Any) -> Change:
    return lambda job: _pod(job)["volumes"].append({"name": name, **source})


def _mounted(path: str, **source: Any) -> Change:
    def change(job: Manifest) -> None:
        _volume(**source)(job)
        _main(job)["volumeMounts"].append({"name": "more", "mountPath": path})

    return change


def _moved(path: str, **source: Any) -> Change:
    """Another volume in the place of the one that is mounted there."""

    def change(job: Manifest) -> None:
        mounts = _main(job)["volumeMounts"]
        _main(job)["volumeMounts"] = [each for each in mounts if each["mountPath"] != path]
        _mounted(path, **source)(job)

    return change


def _mount_field(**fields: Any) -> Change:
    return lambda job: _main(job)["volumeMounts"][0].update(fields)


def _label(key: str, value: str | None) -> Change:
    def change(child: Manifest) -> None:
        child["metadata"]["labels"] |= {key: value}
        if value is None:
            del child["metadata"]["labels"][key]

    return change


def _pod_label(key: str, value: str) -> Change:
    return lambda job: job["spec"]["template"]["metadata"]["labels"].update({key: value})


def _pod_annotation(key: str, value: str) -> Change:
    return lambda job: job["spec"]["template"]["metadata"]["annotations"].update({key: value})


def _owner(**fields: Any) -> Change:
    return lambda child: child["metadata"]["ownerReferences"][0].update(fields)


def _without_owner(child: Manifest) -> None:
    del child["metadata"]["ownerReferences"]


def _without_uid(child: Manifest) -> None:
    del child["metadata"]["labels"]["talkingvideo.dev/uid"]
    if child["kind"] == "Job":
        del child["spec"]["template"]["metadata"]["labels"]["talkingvideo.dev/uid"]


def _two_owners(child: Manifest) -> None:
    other = child["metadata"]["ownerReferences"][0] | {"name": "other", "uid": "other", "controller": False}
    child["metadata"]["ownerReferences"].append(other)


def _device(job: Manifest) -> None:
    _volume(persistentVolumeClaim={"claimName": "inputs"})(job)
    _main(job)["volumeDevices"] = [{"name": "more", "devicePath": "/dev/sda"}]


_PROBE = {"exec": {"command": ["sh"]}}
_TOKEN = {"serviceAccountToken": {"path": "token"}}
_SECRET_KEY = {"secretKeyRef": {"name": "others", "key": "key"}}

LABELS = "only what has its own labels"
OWNER = "only what one TalkingVideo owns"
POD_FIELDS = "The pod has fields that the operator never sets: "
FIELDS = "A container has fields that the operator never sets: "
SECURITY = "A container drops ALL capabilities"
POD_SECURITY = "The pod runs as user, group and fsGroup 65532"
PLACES = "Volumes with content are mounted where the stages expect them"
METADATA = "no labels and annotations but the operator's own"
VALUES = "The environment takes values from nothing but the Secrets of the profiles' stores"

FOLDERS = "folders that programs read code and configuration from are the operator's own"

CHILDREN: dict[str, Attack] = {
    "no label of ours": (_label("app.kubernetes.io/managed-by", None), LABELS),
    "another's label": (_label("app.kubernetes.io/managed-by", "Helm"), LABELS),
    "no uid": (_without_uid, LABELS),
    "no owner": (_without_owner, OWNER),
    "an owner of another kind": (_owner(kind="Deployment", apiVersion="apps/v1"), OWNER),
    "an owner of another group": (_owner(apiVersion="example.com/v1"), OWNER),
    "an owner that does not control": (_owner(controller=False), OWNER),
    "another's uid": (_owner(uid="other"), OWNER),
    "another's name": (_owner(name="other"), OWNER),
    "two owners": (_two_owners, OWNER),
}
"""What neither a Job nor a ConfigMap may be."""

JOBS: dict[str, Attack] = {
    "many pods": (_spec(parallelism=100, completions=100), "is one pod, once"),
    "retries by the Job controller": (_spec(backoffLimit=6), "is one pod, once"),
    "no stage": (_pod_label("talkingvideo.dev/stage", "other"), "the stage is prepare, render or stitch"),
    "a pod that NetworkPolicies miss": (_pod_label("app.kubernetes.io/managed-by", "me"), "has the Job's own labels"),
    "a label of another's": (_pod_label("azure.workload.identity/use", "true"), METADATA),
    "another network": (_pod_annotation("k8s.v1.cni.cncf.io/networks", "storage"), METADATA),
    "no AppArmor": (
        _pod_annotation("container.apparmor.security.beta.kubernetes.io/fetch", "runtime/default"),
        METADATA,
    ),
    "the host's network": (_pod_field(hostNetwork=True), f"{POD_FIELDS}hostNetwork."),
    "the host's processes": (_pod_field(hostPID=True), f"{POD_FIELDS}hostPID."),
    "the host's IPC": (_pod_field(hostIPC=True), f"{POD_FIELDS}hostIPC."),
    "a chosen node": (_pod_field(nodeName="control-plane"), f"{POD_FIELDS}nodeName."),
    "names of hosts": (_pod_field(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["s3"]}]), f"{POD_FIELDS}hostAliases."),
    "shared processes": (_pod_field(shareProcessNamespace=True), f"{POD_FIELDS}shareProcessNamespace."),
    "another runtime": (_pod_field(runtimeClassName="privileged"), f"{POD_FIELDS}runtimeClassName."),
    "another scheduler": (_pod_field(schedulerName="mine"), "its default scheduler"),
    "the node's DNS": (_pod_field(dnsPolicy="Default"), "the cluster's DNS"),
    "DNS of its own": (_pod_field(dnsConfig={"nameservers": ["10.6.6.6"]}), f"{POD_FIELDS}dnsConfig."),
    "a token": (_pod_field(automountServiceAccountToken=True), "mounts no ServiceAccount token"),
    "restarts": (
        lambda job: (_pod_field(restartPolicy="OnFailure")(job), job["spec"].pop("podFailurePolicy")),
        "is never restarted",
    ),
    "another ServiceAccount": (_pod_field(serviceAccountName="admin"), "do not name this ServiceAccount"),
    "the system's priority": (_pod_field(priorityClassName="system-node-critical"), "this PriorityClass"),
    "a command": (_field(command=["sh", "-c", "id"]), f"{FIELDS}command."),
    "a command in an init container": (_init_field(command=["sh"]), f"{FIELDS}command."),
    "a hook": (_field(lifecycle={"postStart": _PROBE}), f"{FIELDS}lifecycle."),
    "a probe that runs something": (_field(livenessProbe=_PROBE), f"{FIELDS}livenessProbe."),
    "a port of the host": (_field(ports=[{"containerPort": 80, "hostPort": 80}]), f"{FIELDS}ports."),
    "a whole Secret as environment": (_field(envFrom=[{"secretRef": {"name": "others"}}]), f"{FIELDS}envFrom."),
    "a sidecar that stays": (_init_field(restartPolicy="Always"), f"{FIELDS}restartPolicy."),
    "a device": (_device, f"{FIELDS}volumeDevices."),
    "privilege": (_security(privileged=True, allowPrivilegeEscalation=True), SECURITY),
    "privilege of an init container": (
        lambda job: _pod(job)["initContainers"][1]["securityContext"].update(allowPrivilegeEscalation=True),
        SECURITY,
    ),
    "no securityContext": (lambda job: _main(job).pop("securityContext"), SECURITY),
    "a capability": (_security(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}), SECURITY),
    "capabilities kept": (_security(capabilities={"drop": ["NET_RAW"]}), SECURITY),
    "a writable root": (_security(readOnlyRootFilesystem=False), SECURITY),
    "root in a container": (_security(runAsUser=0), SECURITY),
    "no seccomp in a container": (_security(seccompProfile={"type": "Unconfined"}), SECURITY),
    "another SELinux label": (_security(seLinuxOptions={"type": "spc_t"}), SECURITY),
    "root": (_pod_security(runAsUser=0, runAsNonRoot=False), POD_SECURITY),
    "another user": (_pod_security(runAsUser=1000), POD_SECURITY),
    "no seccomp": (_pod_security(seccompProfile={"type": "Unconfined"}), POD_SECURITY),
    "kernel parameters": (_pod_security(sysctls=[{"name": "kernel.shm_rmid_forced", "value": "1"}]), POD_SECURITY),
    "more groups": (_pod_security(supplementalGroups=[0]), POD_SECURITY),
    "another image": (
        _field(image="evil.example/miner:1"),
        "no such image (workerImage, allow.workerImages): evil.example",
    ),
    "another image in an init container": (_init_field(image="worker:1-evil"), "no such image"),
    "another digest": (_field(image="worker:1@sha256:" + "b" * 64), "no such image"),
    "another command of the image": (_field(args=["weights", "fetch", "/scratch"]), "first argument is the stage"),
    "another stage": (_field(args=["render", "--chunk", "0"]), "first argument is the stage"),
    "no arguments": (lambda job: _main(job).pop("args"), "first argument is the stage"),
    "a library to load": (_env(name="LD_PRELOAD", value="/scratch/evil.so"), "operator never sets: LD_PRELOAD."),
    "modules to load": (_env(name="PYTHONPATH", value="/scratch"), "operator never sets: PYTHONPATH."),
    "credentials from elsewhere": (
        _env(name="AWS_CONTAINER_CREDENTIALS_FULL_URI", value="http://10.0.0.1"),
        "never sets: AWS_CONTAINER_CREDENTIALS_FULL_URI.",
    ),
    "configuration from a ConfigMap": (_env_value("AWS_CONFIG_FILE", "/mnt/configmaps/evil/config"), FOLDERS),
    "credentials from a ConfigMap": (_env_value("AWS_SHARED_CREDENTIALS_FILE", "/mnt/configmaps/evil/keys"), FOLDERS),
    "a home with configuration": (_env_value("HOME", "/mnt/configmaps/evil"), FOLDERS),
    "kernels from a ConfigMap": (_env_value("TRITON_CACHE_DIR", "/mnt/configmaps/evil"), FOLDERS),
    "weights from an author's claim": (_env_value("TALKINGVIDEO_WEIGHTS", "/mnt/claims/inputs"), FOLDERS),
    "another's Secret as environment": (_env(name="TALKINGVIDEO_X", valueFrom=_SECRET_KEY), VALUES),
    "a ConfigMap as environment": (
        _env(name="TALKINGVIDEO_X", valueFrom={"configMapKeyRef": {"name": "others", "key": "key"}}),
        VALUES,
    ),
    "the node's address": (_env(name="TALKINGVIDEO_X", valueFrom={"fieldRef": {"fieldPath": "status.hostIP"}}), VALUES),
    "keys in plain text": (_env(name="AWS_SESSION_TOKEN", value="AKIA"), VALUES),
    "a folder of the host": (_volume(hostPath={"path": "/"}), "not hostPath."),
    "a token as a volume": (_volume(projected={"sources": [_TOKEN]}), "not projected."),
    "an NFS server": (_volume(nfs={"server": "10.0.0.1", "path": "/"}), "not nfs."),
    "the pod's own metadata": (_volume(downwardAPI={"items": []}), "not downwardAPI."),
    "a driver's volume": (_volume(csi={"driver": "secrets-store.csi.k8s.io"}), "not csi."),
    "an image as a volume": (_volume(image={"reference": "evil.example/x:1"}), "not image."),
    "another's Secret": (_volume(secret={"secretName": "others"}), "do not allow mounting this Secret"),
    "the store's own keys as files": (_volume(secret={"secretName": "s3"}), "do not allow mounting this Secret"),
    "another's pull Secret": (
        _pod_field(imagePullSecrets=[{"name": "others"}]),
        "do not allow pulling with this Secret",
    ),
    "another's claim": (_volume(persistentVolumeClaim={"claimName": "db"}), "do not name this PersistentVolumeClaim"),
    "programs from a ConfigMap": (_mounted("/app/own", configMap={"name": "evil"}), PLACES),
    "programs from a ConfigMap, by a detour": (
        _mounted("/mnt/configmaps/../../app", configMap={"name": "evil"}),
        PLACES,
    ),
    "a user database from a claim": (_mounted("/etc", persistentVolumeClaim={"claimName": "inputs"}), PLACES),
    "kernels from a ConfigMap, where they belong": (_mounted("/compile-cache", configMap={"name": "evil"}), PLACES),
    "an author's claim as kernels": (_mounted("/compile-cache", persistentVolumeClaim={"claimName": "inputs"}), PLACES),
    "the store as kernels": (_mounted("/compile-cache", persistentVolumeClaim={"claimName": "media"}), PLACES),
    "weights from a ConfigMap": (_mounted("/models", configMap={"name": "evil"}), PLACES),
    "an author's claim as weights": (_mounted("/models", persistentVolumeClaim={"claimName": "inputs"}), PLACES),
    "a stage input from a claim": (_moved("/stage-input", persistentVolumeClaim={"claimName": "inputs"}), PLACES),
    "one file of a volume": (_mount_field(subPath="x"), "mounted whole and without propagation"),
    "mounts that reach the host": (_mount_field(mountPropagation="HostToContainer"), "without propagation"),
}
"""What a Job may not be: changes of one of prepare."""

CONFIG_MAPS: dict[str, Attack] = {
    "another key": (lambda made: made.update(data={"evil.py": "x"}), "stage-input.json and no other"),
    "one key more": (lambda made: made["data"].update(more="x"), "stage-input.json and no other"),
    "no key": (lambda made: made.pop("data"), "stage-input.json and no other"),
    "bytes": (lambda made: made.update(binaryData={"x": "AAAA"}), "stage-input.json and no other"),
    "one that changes": (lambda made: made.update(immutable=False), "is immutable"),
    "one that may change": (lambda made: made.pop("immutable"), "is immutable"),
}
"""What a ConfigMap may not be."""
