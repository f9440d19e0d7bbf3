#!/usr/bin/env bash
# Builds a network of one's own with az alone, runs a cluster in it, and fetches
# the page of an application through the network's rules.
# usage: examples/own-network/run.sh        with az set up: docs/operate/az.md
#        examples/own-network/run.sh clean  removes all of it
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD/examples/own-network/debian${PYTHONPATH:+:$PYTHONPATH}" # see docs/operate/networks.md
group=own

if [[ ${1:-} == clean ]]; then
  az group delete -n "$group" --yes
  exit
fi

say() { printf '\n== %s\n' "$*"; }

say "A network with two subnets, and rules and routes for them"
az group create -n "$group" -l local -o none
az network nsg create -g "$group" -n guard -o none
az network nsg rule create -g "$group" --nsg-name guard -n web --priority 100 --access Allow --protocol Tcp \
  --source-address-prefixes Internet --destination-port-ranges 80 -o none
az network route-table create -g "$group" -n way -o none
az network vnet create -g "$group" -n shop --address-prefixes 10.60.0.0/16 -o none
az network vnet subnet create -g "$group" --vnet-name shop -n nodes --address-prefixes 10.60.0.0/24 \
  --network-security-group guard --route-table way -o none
az network vnet subnet create -g "$group" --vnet-name shop -n spare --address-prefixes 10.60.1.0/24 -o none
az network vnet subnet list -g "$group" --vnet-name shop -o table

say "An identity for the cluster that may use the subnet and its routes"
az identity create -g "$group" -n worker -o none
identity=$(az identity show -g "$group" -n worker --query id -o tsv)
principal=$(az identity show -g "$group" -n worker --query principalId -o tsv)
subnet=$(az network vnet subnet show -g "$group" --vnet-name shop -n nodes --query id -o tsv)
for scope in "$subnet" "$(az network route-table show -g "$group" -n way --query id -o tsv)"; do
  # Network Contributor. Not az role assignment create, which Debian's az cannot do. The name is the scope's own, so
  # that a second run of this script finds the first one's assignment.
  name=$(printf %s "$scope" | sha256sum | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/')
  az rest --method put --url "$scope/providers/Microsoft.Authorization/roleAssignments/$name?api-version=2022-04-01" -o none --body '{"properties": {
    "principalId": "'"$principal"'", "principalType": "ServicePrincipal",
    "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7"}}'
done

say "A cluster in the subnet"
az aks create -g "$group" -n demo -c 1 -s Standard_B2s --no-ssh-key --assign-identity "$identity" --network-plugin kubenet \
  --pod-cidr 10.245.0.0/16 --vnet-subnet-id "$subnet" --skip-subnet-role-assignment --yes \
  --query '[provisioningState, nodeResourceGroup]' -o tsv
az resource list -g "MC_${group}_demo_local" -o table

say "Deleting what the cluster uses is refused"
! az network vnet subnet delete -g "$group" --vnet-name shop -n nodes
! az network nsg delete -g "$group" -n guard

say "An application, and its page through the rule for port 80"
az aks command invoke -g "$group" -n demo -f examples/hello/web.yaml -c "kubectl apply -f web.yaml" --query logs -o tsv
address=""
for _ in {1..60}; do
  address=$(az aks command invoke -g "$group" -n demo -c "kubectl get service web -o jsonpath={.status.loadBalancer.ingress[0].ip}" --query logs -o tsv)
  [[ -n $address ]] && break
done
curl --fail --silent --show-error --max-time 10 --retry 10 --retry-all-errors --retry-delay 1 "http://$address/"

say "Without the rule there is no way in"
az network nsg rule delete -g "$group" --nsg-name guard -n web
! curl --fail --silent --show-error --max-time 3 "http://$address/"
echo
echo "examples/own-network/run.sh clean removes all of it."
