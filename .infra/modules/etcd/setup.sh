#!/bin/bash
# A machine of etcd at its first start. The member's data are on the data disk: a machine that is replaced is the
# same member again.
set -euo pipefail
umask 077

# The data disk may come a moment after the machine.
disk=/dev/sdf
for _ in $(seq 60); do [ -b "$disk" ] && break; udevadm settle --timeout=5 || true; read -rt 2 <> <(:) || true; done
[ -b "$disk" ] || { echo "the data disk is missing"; exit 1; }
blkid "$disk" || mkfs.xfs "$disk"
mkdir -p /var/lib/etcd
echo "UUID=$(blkid -s UUID -o value "$disk") /var/lib/etcd xfs noatime,nofail 0 2" >>/etc/fstab
mount -a

dnf install -y jq
useradd --system --home-dir /var/lib/etcd --shell /sbin/nologin etcd || true
aws s3 cp "s3://${bucket}/etcd-v${etcd}-linux-arm64.tar.gz" /tmp/etcd.tar.gz --region "${region}"
echo "${sha256}  /tmp/etcd.tar.gz" | sha256sum --check
tar -xzf /tmp/etcd.tar.gz -C /usr/local/bin --strip-components 1 --no-same-owner --wildcards '*/etcd' '*/etcdctl' '*/etcdutl'
chmod 755 /usr/local/bin/etcd*

# The certificate, its key and who signed it, for this member alone.
mkdir -p /etc/etcd-tls
secret() { aws secretsmanager get-secret-value --region "${region}" --secret-id "$1" --query SecretString --output text; }
secret "${certificate}" >/etc/etcd-tls/secret
jq -r .key /etc/etcd-tls/secret >/etc/etcd-tls/key.pem
jq -r .certificate /etc/etcd-tls/secret >/etc/etcd-tls/certificate.pem
rm /etc/etcd-tls/secret
secret "${authority}" >/etc/etcd-tls/authority.pem
chown -R etcd: /etc/etcd-tls /var/lib/etcd

mkdir -p /etc/etcd
cat >/etc/etcd/etcd.yaml <<'YAML'
name: etcd-${member}
data-dir: /var/lib/etcd/data
listen-client-urls: https://${address}:2379
advertise-client-urls: https://${address}:2379
listen-peer-urls: https://${address}:2380
initial-advertise-peer-urls: https://${address}:2380
initial-cluster: ${peers}
initial-cluster-token: ${name}
initial-cluster-state: new
quota-backend-bytes: ${quota_gib * 1073741824}
auto-compaction-mode: periodic
auto-compaction-retention: 24h
client-transport-security:
  cert-file: /etc/etcd-tls/certificate.pem
  key-file: /etc/etcd-tls/key.pem
  trusted-ca-file: /etc/etcd-tls/authority.pem
  client-cert-auth: false
peer-transport-security:
  cert-file: /etc/etcd-tls/certificate.pem
  key-file: /etc/etcd-tls/key.pem
  trusted-ca-file: /etc/etcd-tls/authority.pem
  client-cert-auth: true
YAML
# end of etcd.yaml
chmod -R go+rX /etc/etcd

cat >/etc/systemd/system/etcd.service <<'UNIT'
[Unit]
Description=etcd
After=network-online.target
RequiresMountsFor=/var/lib/etcd
[Service]
Type=notify
User=etcd
ExecStart=/usr/local/bin/etcd --config-file /etc/etcd/etcd.yaml
Restart=always
RestartSec=5
LimitNOFILE=65536
[Install]
WantedBy=multi-user.target
UNIT

systemctl daemon-reload
systemctl enable --now --no-block etcd.service
