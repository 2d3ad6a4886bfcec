"""Renders the Helm chart and checks every object against its schema."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

CHART = Path(__file__).parents[1] / "helm" / "overture"
KUBERNETES = "1.33"
VARIANTS: Mapping[str, Sequence[str]] = {
    "guarded": ("http.ingress.enabled=true", "http.ingress.host=music.example"),
    "plain": ("kafka.securityProtocol=PLAINTEXT", "keda.enabled=false", "networkPolicy.enabled=false"),
    "tls": ("kafka.securityProtocol=SSL", "workers.overrides.media_analysis.maxReplicas=3"),
}
"""Values under which the chart is rendered."""
_KEDA = """
import { readFileSync } from "node:fs";
import * as keda from "@kubernetes-models/keda/keda.sh/v1alpha1";
for (const each of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    new keda[each.kind](each).validate();
  } catch (error) {
    console.log(`${each.kind} ${each.metadata.name}: ${error.message}`);
  }
}
"""


def rendered(helm: Path, values: Sequence[str]) -> list[dict[str, Any]]:
    """Objects that the chart gives.

    Raises:
        FileNotFoundError: there is no Helm.
        CalledProcessError: the chart does not render; stderr says why.
    """
    command = [str(helm), "template", "overture", str(CHART), "--kube-version", KUBERNETES]
    for value in values:
        command += ["--set", value]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return [each for each in yaml.safe_load_all(answer.stdout) if each]


def problems(objects: Sequence[Mapping[str, Any]], node: Path) -> list[str]:
    """What the schemas of Kubernetes and KEDA say against the objects, one sentence each."""
    found = []
    for each in objects:
        if each["apiVersion"].startswith("keda.sh/"):
            continue
        try:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{each['kind']} {each['metadata']['name']}: {error.message}")
    keda = [each for each in objects if each["apiVersion"].startswith("keda.sh/")]
    answer = subprocess.run(  # noqa: S603
        ["node", "--input-type=module", "--eval", _KEDA],  # noqa: S607
        input=json.dumps(keda),
        capture_output=True,
        text=True,
        check=True,
        cwd=node,
    )
    return found + answer.stdout.splitlines()
