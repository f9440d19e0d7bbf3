#!/usr/bin/env bash
# What "make up" does after building: starts the service, creates the managed
# cluster "demo" with one node, deploys the sample application and fetches its
# page through the public address. Every step may be repeated.
set -euo pipefail
cd "$(dirname "$0")/.."
berth=$PWD/bin/berth
kubeconfig=$PWD/bin/demo.kubeconfig

if [ "$(id -u)" != 0 ]; then
  echo "Berth makes namespaces, mounts and cgroups: run it as root (sudo make up)" >&2
  exit 1
fi

hack/packages.sh curl e2fsprogs xfsprogs

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

say "Starting the service"
"$berth" up --detach

say "Creating the managed cluster demo"
"$berth" group create --name demo --output none
case $("$berth" aks show -g demo -n demo --query provisioningState -o tsv 2>/dev/null || true) in
  Succeeded) ;;
  "") "$berth" aks create -g demo -n demo --node-count 1 --node-vm-size Standard_B2s --output none ;;
  Failed)
    echo "the cluster demo failed before: see bin/berth aks show -g demo -n demo; remove it with bin/berth aks delete -g demo -n demo" >&2
    exit 1
    ;;
  *) "$berth" aks wait -g demo -n demo --created ;; # an earlier run was interrupted; the operation went on
esac
"$berth" aks get-credentials --admin -g demo -n demo --file "$kubeconfig" --overwrite-existing

kubectl=$("$berth" release path kubectl)
export KUBECONFIG=$kubeconfig

say "Deploying the sample application"
"$kubectl" apply -f examples/hello/web.yaml
"$kubectl" wait --for=jsonpath='{.status.loadBalancer.ingress[0].ip}' service/web --timeout=60s >/dev/null
"$kubectl" rollout status deployment/web --timeout=120s
address=$("$kubectl" get service web -o jsonpath='{.status.loadBalancer.ingress[0].ip}')

say "Its page, through the service's public address"
curl --fail --silent --show-error --max-time 10 --retry 5 --retry-connrefused "http://$address/"

cat <<END

The cluster is up.

  The page      http://$address/
  kubectl       export KUBECONFIG=$kubeconfig
                $kubectl get pods -A

Try next:
  $berth aks list -o table
  $berth aks nodepool add -g demo --cluster-name demo -n extra -c 1 -s Standard_B2s
  $berth status
  $berth down            (stops everything; berth up brings it back)
  $berth down --purge    (removes everything)
END
