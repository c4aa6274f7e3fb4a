#!/bin/bash
# A machine of Cassandra at its first start. Everything that lasts is on the data disk: a machine that is replaced
# finds it there and is the same node again.
set -euo pipefail
umask 077

# The data disk may come a moment after the machine.
disk=/dev/sdf
for _ in $(seq 60); do [ -b "$disk" ] && break; udevadm settle --timeout=5 || true; read -rt 2 <> <(:) || true; done
[ -b "$disk" ] || { echo "the data disk is missing"; exit 1; }
blkid "$disk" || mkfs.xfs "$disk"
mkdir -p /var/lib/cassandra
echo "UUID=$(blkid -s UUID -o value "$disk") /var/lib/cassandra xfs noatime,nofail 0 2" >>/etc/fstab
mount -a

dnf install -y java-17-amazon-corretto-headless jq
useradd --system --home-dir /var/lib/cassandra --shell /sbin/nologin cassandra || true
aws s3 cp "s3://${bucket}/apache-cassandra-${cassandra}-bin.tar.gz" /tmp/cassandra.tar.gz --region "${region}"
echo "${sha256}  /tmp/cassandra.tar.gz" | sha256sum --check
mkdir -p /opt/cassandra
tar -xzf /tmp/cassandra.tar.gz -C /opt/cassandra --strip-components 1

# The certificate, its key and who signed it, for this node alone.
mkdir -p /etc/cassandra-tls
secret() { aws secretsmanager get-secret-value --region "${region}" --secret-id "$1" --query SecretString --output text; }
secret "${certificate}" | jq -r '.key, .certificate' >/etc/cassandra-tls/node.pem
secret "${authority}" >/etc/cassandra-tls/authority.pem
chown -R cassandra: /etc/cassandra-tls /var/lib/cassandra

cat >/opt/cassandra/conf/cassandra.yaml <<'YAML'
cluster_name: ${name}
num_tokens: 16
allocate_tokens_for_local_replication_factor: 3
listen_address: ${address}
rpc_address: ${address}
native_transport_port: 9042
storage_port: 7000
endpoint_snitch: GossipingPropertyFileSnitch
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "${seeds}"
data_file_directories: [/var/lib/cassandra/data]
commitlog_directory: /var/lib/cassandra/commitlog
hints_directory: /var/lib/cassandra/hints
saved_caches_directory: /var/lib/cassandra/saved_caches
%{ if commitlog_sync == "periodic" ~}
commitlog_sync: periodic
commitlog_sync_period: 10000ms
%{ endif ~}
%{ if commitlog_sync == "group" ~}
commitlog_sync: group
commitlog_sync_group_window: 5ms
%{ endif ~}
%{ if commitlog_sync == "batch" ~}
commitlog_sync: batch
%{ endif ~}
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
# Erased rows stay erased only where every node hears of it within gc_grace_seconds (100 days).
max_hint_window: 3h
incremental_backups: false
auto_snapshot: true
concurrent_reads: 32
concurrent_writes: 64
server_encryption_options:
  internode_encryption: all
  require_client_auth: true
  require_endpoint_verification: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: /etc/cassandra-tls/node.pem
  truststore: /etc/cassandra-tls/authority.pem
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: false
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: /etc/cassandra-tls/node.pem
  truststore: /etc/cassandra-tls/authority.pem
audit_logging_options:
  enabled: true
  logger:
    - class_name: FileAuditLogger
  included_categories: AUTH,DCL,DDL,ERROR
YAML
# end of cassandra.yaml

cat >/opt/cassandra/conf/cassandra-rackdc.properties <<'RACK'
dc=${region}
rack=${zone}
RACK
rm -f /opt/cassandra/conf/cassandra-topology.properties
# Who may sign in is known by three nodes from the start: with one replica, as by default, each node would make its own
# user cassandra, and locking that one out on one of them would leave the others'.
printf -- '-Xms${heap_gib}G\n-Xmx${heap_gib}G\n-Dcassandra.system_auth.default_rf=3\n' >>/opt/cassandra/conf/jvm-server.options
ln -sfn /var/lib/cassandra/logs /opt/cassandra/logs
mkdir -p /var/lib/cassandra/logs
chown -R cassandra: /opt/cassandra /var/lib/cassandra
chmod -R go+rX /opt/cassandra

cat >/etc/sysctl.d/90-cassandra.conf <<'SYSCTL'
vm.max_map_count=1048575
vm.swappiness=1
SYSCTL
sysctl --system

cat >/etc/systemd/system/cassandra.service <<'UNIT'
[Unit]
Description=Apache Cassandra
After=network-online.target
RequiresMountsFor=/var/lib/cassandra
[Service]
User=cassandra
ExecStart=/opt/cassandra/bin/cassandra -f
Restart=always
RestartSec=5
LimitNOFILE=1048576
LimitMEMLOCK=infinity
LimitNPROC=32768
TimeoutStopSec=120
[Install]
WantedBy=multi-user.target
UNIT

# Repair within gc_grace_seconds: each node its own ranges, twice a week, one node after another.
cat >/etc/systemd/system/cassandra-repair.service <<'UNIT'
[Service]
Type=oneshot
User=cassandra
ExecStart=/opt/cassandra/bin/nodetool repair -pr --full system_auth
ExecStart=/opt/cassandra/bin/nodetool repair -pr --full angelowl
UNIT
cat >/etc/systemd/system/cassandra-repair.timer <<'UNIT'
[Timer]
OnCalendar=Sun *-*-* ${format("%02d", member % 24)}:00:00
OnCalendar=Wed *-*-* ${format("%02d", member % 24)}:00:00
Persistent=true
[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
systemctl enable --now cassandra.service cassandra-repair.timer
