#!/usr/bin/env bash
# What one would write without bluegreen: the six phases with kubectl, as decent scripts of this kind do them.
# `bench/release.py` runs it beside bluegreen, on the same stack and under the same load.
#
#   NAMESPACE=alfred bench/bash_release.sh BACKEND_IMAGE GATEWAY_IMAGE
#
# SERVICES     the services, in switch order        (default "alfred-backend:8000:/health alfred-gateway:8080:/ready")
# RETRIES      times 5 s for the health validation  (default 30)
# WINDOW       seconds to watch after the switch    (default 30)
# SCALE_DOWN   1: end the old slot after that       (default 0)
set -euo pipefail

namespace=${NAMESPACE:-alfred}
services=${SERVICES:-alfred-backend:8000:/health alfred-gateway:8080:/ready}
retries=${RETRIES:-30}
window=${WINDOW:-30}
scale_down=${SCALE_DOWN:-0}
declare -A images=([alfred-backend]=$1 [alfred-gateway]=$2)

k() { kubectl -n "$namespace" "$@"; }
say() { printf '%s %s\n' "$(date +%T)" "$*"; }
slot_of() { k get service "$1" -o jsonpath='{.spec.selector.slot}'; }
point() { k patch service "$1" -p "{\"spec\":{\"selector\":{\"slot\":\"$2\"}}}" >/dev/null; }
names() { for each in $services; do printf '%s ' "${each%%:*}"; done; }

back() {
  say "going back to $active"
  for name in $(names | tac -s ' '); do point "$name" "$active"; done
  exit 3
}

living='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}'

say "1 detect"
active=$(slot_of alfred-gateway)
case $active in blue) idle=green ;; green) idle=blue ;; *) say "no active slot"; exit 5 ;; esac

say "2 deploy to $idle"
for name in $(names); do
  replicas=$(k get deployment "$name-$active" -o jsonpath='{.spec.replicas}')
  container=$(k get deployment "$name-$idle" -o jsonpath='{.spec.template.spec.containers[0].name}')
  k set image "deployment/$name-$idle" "$container=${images[$name]}" >/dev/null
  k scale "deployment/$name-$idle" --replicas "$replicas" >/dev/null
done

say "3 validate $idle"
for name in $(names); do
  k rollout status "deployment/$name-$idle" --timeout "$((retries * 5))s" >/dev/null || { say "not ready"; exit 1; }
done
for each in $services; do
  IFS=: read -r name port path <<<"$each"
  for pod in $(k get pods -l "app=$name,slot=$idle" -o go-template="$living"); do
    kubectl get --raw "/api/v1/namespaces/$namespace/pods/$pod:$port/proxy$path" >/dev/null ||
      { say "$pod does not answer"; exit 1; }
  done
done

say "4 switch to $idle"
for name in $(names); do point "$name" "$idle"; done

say "5 observe for $window s"
end=$((SECONDS + window))
while ((SECONDS < end)); do
  for name in $(names); do
    want=$(k get deployment "$name-$idle" -o jsonpath='{.spec.replicas}')
    ready=$(k get deployment "$name-$idle" -o jsonpath='{.status.readyReplicas}')
    [[ ${ready:-0} -ge $want ]] || { say "$name-$idle: $ready of $want ready"; back; }
  done
  sleep 5
done

if [[ $scale_down == 1 ]]; then
  say "6 retire $active"
  for name in $(names | tac -s ' '); do k scale "deployment/$name-$active" --replicas 0 >/dev/null; done
fi
say "released"
