#!/usr/bin/env bash
# The baseline: etcd and kube-apiserver started by hand, with TLS and upstream's
# defaults, nothing tuned. Prints the milliseconds from exec to /readyz and the
# CPU seconds that both took, then stops them, or with KEEP=1 leaves them running
# until its standard input closes.
#
# usage: ETCD=… KUBE=… DIR=… [ADDRESS=127.0.0.1] bash control-plane.sh
#   ETCD  the etcd binary; KUBE  the directory of kube-apiserver; DIR  an empty directory
set -euo pipefail
: "${ETCD:?}" "${KUBE:?}" "${DIR:?}"
ADDRESS=${ADDRESS:-127.0.0.1}
port=$((20000 + RANDOM % 20000))
client=$port peer=$((port + 1)) secure=$((port + 2))
mkdir -p "$DIR"; cd "$DIR"

certificate() { # name, subject, extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -subj "$2" 2>/dev/null |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -out "$1.crt" -extfile <(printf '%s' "$3") 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 1 -subj /CN=raw 2>/dev/null
certificate server /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,IP:$ADDRESS,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"
certificate admin /O=system:masters/CN=admin "extendedKeyUsage=clientAuth"
openssl ecparam -name prime256v1 -genkey -noout -out sa.key 2>/dev/null

now() { date +%s%N; }
started=$(now)
"$ETCD" --name raw --data-dir "$DIR/etcd" \
  --listen-client-urls "https://127.0.0.1:$client" --advertise-client-urls "https://127.0.0.1:$client" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" --initial-cluster "raw=http://127.0.0.1:$peer" \
  --cert-file server.crt --key-file server.key --client-cert-auth --trusted-ca-file ca.crt >etcd.log 2>&1 &
etcd=$!
"$KUBE/kube-apiserver" --etcd-servers "https://127.0.0.1:$client" --etcd-cafile ca.crt --etcd-certfile admin.crt --etcd-keyfile admin.key \
  --bind-address "$ADDRESS" --advertise-address "$ADDRESS" --secure-port "$secure" --tls-cert-file server.crt --tls-private-key-file server.key \
  --client-ca-file ca.crt --authorization-mode Node,RBAC --service-cluster-ip-range 10.0.0.0/16 \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file sa.key --service-account-signing-key-file sa.key \
  --enable-bootstrap-token-auth >apiserver.log 2>&1 &
apiserver=$!
# A throwaway: killed, because an API server waits a minute for watches whose client is gone.
trap 'kill -9 "$apiserver" "$etcd" 2>/dev/null; wait "$apiserver" "$etcd" 2>/dev/null || true' EXIT
until [ "$(curl -s -o /dev/null -w '%{http_code}' --cacert ca.crt --cert admin.crt --key admin.key "https://$ADDRESS:$secure/readyz")" = 200 ]; do
  kill -0 "$apiserver" && kill -0 "$etcd" || { tail -n 5 etcd.log apiserver.log >&2; exit 1; }
  sleep 0.02
done
ready=$(now)
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
printf '{"ready_ms": %d, "cpu_s": %s, "server": "https://%s:%d"}\n' $(((ready - started) / 1000000)) \
  "$(awk -v t=$(($(ticks "$etcd") + $(ticks "$apiserver"))) -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.2f", t / hz}')" "$ADDRESS" "$secure"
if [ -n "${KEEP:-}" ]; then exec >&-; cat >/dev/null; fi
