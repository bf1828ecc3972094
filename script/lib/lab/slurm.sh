# Slurm on one machine: 9 nodes that pretend to be big, 5 partitions, typed GPUs, accounting with slurmdbd, slurmrestd. Sourced, never run.
# Pid files for tests of outages: $SLURM/run/{mariadb,slurmdbd,slurmctld,slurmrestd,slurmd.<node>}.pid, /run/munge/munged.pid
# A second one beside it: another BACKENDAI_LAB, and with BACKENDAI_LAB_SHIFT (added to every port) the configuration is beneath that.

SLURM=$BASE/slurm
SHIFT=${BACKENDAI_LAB_SHIFT:-0}
SLURM_ETC=/etc/slurm
if [ "$SHIFT" != 0 ]; then
  SLURM_ETC=$SLURM/etc
  export SLURM_CONF=$SLURM_ETC/slurm.conf
fi
SLURM_HOST=$(uname -n | cut -d. -f1)
SLURM_NODES="jnode01 jnode02 jnode03 jnode04 jnode05 v4n01 v2n01 a8n01 bm01"
SLURM_PACKAGES="slurmctld slurmd slurm-client slurmdbd munge mariadb-server slurm-wlm-basic-plugins slurm-wlm-mysql-plugin slurmrestd slurm-wlm-jwt-plugin sudo"
DB_PORT=$((33306 + SHIFT))
JWT_KEY=$SLURM/jwt/jwt_hs256.key

slurm_about() { sinfo -h -o '%P %D %T' | sort | tr '\n' ';'; }
slurm_is_up() {
  local node
  for node in $SLURM_NODES; do is_alive "$SLURM/run/slurmd.$node.pid" "slurmd -N $node" || return 1; done
  is_alive "$SLURM/run/slurmrestd.pid" slurmrestd || return 1
  [ -e "$SLURM/accounts" ] && is_alive "$SLURM/run/slurmdbd.pid" slurmdbd && munge_answers && scontrol ping 2>/dev/null | grep -q 'is UP'
}

slurm_up() {
  # shellcheck disable=SC2086
  install_packages $SLURM_PACKAGES || return 1
  if [ -e $SLURM_ETC/slurm.conf ] && ! grep -q 'script/lab' $SLURM_ETC/slurm.conf; then
    say "$SLURM_ETC/slurm.conf is another cluster's: not touched"
    return 1
  fi
  getent ahostsv4 "$SLURM_HOST" >/dev/null || { say "slurm: this machine's own name has no address: /etc/hosts needs a line \"127.0.1.1 $SLURM_HOST\""; return 1; }
  add_unix_people || return 1
  name_is_loopback || say "slurm: $SLURM_HOST is not 127.0.0.1 in /etc/hosts: Slurm's daemons listen on every address, and ask for munge's key or a token"
  # daemons that were started with another configuration
  [ ! -e $SLURM_ETC/slurm.conf ] || slurm_conf | cmp -s - $SLURM_ETC/slurm.conf || slurm_down
  slurm_directories && slurm_write && munge_up && database_up && accounting_up && controller_up && accounts_up && nodes_up && rest_up
}

slurm_down() {
  local node
  stop_process "$SLURM/run/slurmrestd.pid" slurmrestd
  for node in $SLURM_NODES; do stop_process "$SLURM/run/slurmd.$node.pid" "slurmd -N $node" & done
  wait
  slurmctld_down
  stop_process "$SLURM/run/slurmdbd.pid" slurmdbd
  stop_process "$SLURM/run/mariadb.pid" mariadbd
  [ ! -e "$SLURM/run/munged.ours" ] || munge_down
  rm -f "$SLURM/run/munged.ours"
}

slurmctld_down() { stop_process "$SLURM/run/slurmctld.pid" slurmctld; }
munge_down() { stop_process /run/munge/munged.pid munged; }
munge_answers() { munge -n </dev/null 2>/dev/null | unmunge >/dev/null 2>&1; }

slurm_directories() {
  local node index
  mkdir -p "$SLURM"/{log,run,state,db,spool,dev,dbrun,jwt} "$SLURM_ETC" && chmod 755 "$SLURM" "$SLURM"/*
  # the system users may have other ids than when the state was made
  chown -R slurm:slurm "$SLURM/state" "$SLURM/log" "$SLURM/run" && chown -R mysql:mysql "$SLURM/db" "$SLURM/dbrun"
  for node in $SLURM_NODES; do mkdir -p "$SLURM/spool/$node"; done
  # whoever reads this key can make a token for anybody
  [ -s "$JWT_KEY" ] || (umask 077 && head -c 32 /dev/urandom >"$JWT_KEY")
  chown slurm:slurm "$JWT_KEY"
  # GPUs that are none: gres.conf wants files
  for index in 0 1 2 3 4 5 6 7; do touch "$SLURM/dev/nvidia$index"; done
}

munge_up() {
  install -d -o munge -g munge -m 755 /run/munge && install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge
  if [ ! -s /etc/munge/munge.key ]; then
    head -c 1024 /dev/urandom >/etc/munge/munge.key
    chown munge:munge /etc/munge/munge.key && chmod 400 /etc/munge/munge.key
  fi
  munge_answers && return 0
  stop_process /run/munge/munged.pid munged
  runuser -u munge -- /usr/sbin/munged --force 9>&- 2>/dev/null
  touch "$SLURM/run/munged.ours"
  wait_for 5 munge_answers || { say "munge does not answer"; return 1; }
}

db() { mariadb --socket="$SLURM/dbrun/mysqld.sock" -uroot "$@"; }

database_up() {
  is_alive "$SLURM/run/mariadb.pid" mariadbd && return 0
  [ -d "$SLURM/db/mysql" ] || mariadb-install-db --no-defaults --user=mysql --datadir="$SLURM/db" --skip-test-db \
    --auth-root-authentication-method=normal >"$SLURM/log/mariadb-install.log" 2>&1 9>&- || { say "MariaDB: see $SLURM/log"; return 1; }
  setsid mariadbd --no-defaults --user=mysql --datadir="$SLURM/db" --bind-address=127.0.0.1 --port=$DB_PORT \
    --socket="$SLURM/dbrun/mysqld.sock" --pid-file="$SLURM/dbrun/mariadbd.pid" --innodb-buffer-pool-size=128M \
    --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=2 >"$SLURM/log/mariadb.log" 2>&1 </dev/null 9>&- &
  echo $! >"$SLURM/run/mariadb.pid"
  wait_for 30 db -e 'SELECT 1' || { tail -n 5 "$SLURM/log/mariadb.log"; return 1; }
  db -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db; CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
    CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';"
}

# asked by its port first: sacctmgr itself tries for minutes
accounting_answers() { (: </dev/tcp/127.0.0.1/$((6819 + SHIFT))) && sacctmgr -n -i show cluster; }

accounting_up() {
  if ! is_alive "$SLURM/run/slurmdbd.pid" slurmdbd; then
    rm -f "$SLURM/run/slurmdbd.pid"
    runuser -u slurm -- /usr/sbin/slurmdbd 9>&- || return 1
  fi
  wait_for 30 accounting_answers || { tail -n 5 "$SLURM/log/slurmdbd.log"; return 1; }
  sacctmgr -nP show cluster format=cluster | grep -qx lab || sacctmgr -i -Q add cluster lab >/dev/null
  # a QOS named by a partition must exist before slurmctld reads it
  sacctmgr -nP show qos format=name | grep -qx jupyter_free || sacctmgr -i -Q add qos jupyter_free >/dev/null
}

controller_up() {
  if ! is_alive "$SLURM/run/slurmctld.pid" slurmctld; then
    rm -f "$SLURM/run/slurmctld.pid"
    runuser -u slurm -- /usr/sbin/slurmctld 9>&- || return 1
  fi
  wait_for 20 sh -c 'scontrol ping | grep -q "is UP"' || { tail -n 5 "$SLURM/log/slurmctld.log"; return 1; }
}

accounts_up() {
  local users
  users=$(unix_people | cut -d' ' -f1 | paste -sd,)
  if [ ! -e "$SLURM/accounts" ] || [ "$(cat "$SLURM/accounts")" != "$users" ]; then
    sacctmgr -i -Q modify qos jupyter_free set MaxJobsPU=20 MaxSubmitJobsPU=50 MaxWall=12:00:00 Flags=DenyOnLimit >/dev/null
    sacctmgr -i -Q add account free,paid Description=lab Organization=lab >/dev/null
    sacctmgr -i -Q add user "$users" account=free,paid DefaultAccount=free >/dev/null
    [ "$(sacctmgr -nP show assoc format=user | grep -c .)" -ge $(($(unix_people | wc -l) * 2)) ] || { say "no Slurm accounts"; return 1; }
    echo "$users" >"$SLURM/accounts"
  fi
}

nodes_ready() { [ "$(sinfo -h -N -o %T | grep -cE 'down|unk|drain|\*')" = 0 ]; }

nodes_up() {
  local node
  for node in $SLURM_NODES; do
    is_alive "$SLURM/run/slurmd.$node.pid" "slurmd -N $node" && continue
    rm -f "$SLURM/run/slurmd.$node.pid"
    /usr/sbin/slurmd -N "$node" 9>&- || { say "the node $node did not start:"; tail -n 3 "$SLURM/log/slurmd.$node.log"; return 1; }
  done
  wait_for 5 nodes_ready && return 0
  # nodes that an earlier run left down or drained
  scontrol update nodename="$(echo "$SLURM_NODES" | tr ' ' ,)" state=resume 2>/dev/null
  wait_for 20 nodes_ready || { sinfo; return 1; }
}

rest_answers() { (: </dev/tcp/127.0.0.1/$((6820 + SHIFT))); }

# as an account that is nobody to Slurm: who asks is said by the token alone
rest_up() {
  is_alive "$SLURM/run/slurmrestd.pid" slurmrestd && return 0
  SLURM_JWT=daemon SLURM_CONF=$SLURM_ETC/slurm.conf setsid setpriv --reuid nobody --regid nogroup --clear-groups \
    /usr/sbin/slurmrestd -a rest_auth/jwt 127.0.0.1:$((6820 + SHIFT)) >"$SLURM/log/slurmrestd.log" 2>&1 </dev/null 9>&- &
  echo $! >"$SLURM/run/slurmrestd.pid"
  wait_for 10 rest_answers || { tail -n 3 "$SLURM/log/slurmrestd.log"; return 1; }
}

slurm_write() {
  slurm_conf >$SLURM_ETC/slurm.conf && gres_conf >$SLURM_ETC/gres.conf && slurmdbd_conf >$SLURM_ETC/slurmdbd.conf &&
    cgroup_conf >$SLURM_ETC/cgroup.conf && chown slurm:slurm $SLURM_ETC/slurmdbd.conf && chmod 600 $SLURM_ETC/slurmdbd.conf && chmod 644 $SLURM_ETC/{slurm,gres,cgroup}.conf
}

# node NAME PORT SOCKETS_CORES MEMORY_MB FEATURES [GRES]
node() {
  echo "NodeName=$1 NodeHostname=$SLURM_HOST NodeAddr=127.0.0.1 Port=$(($2 + SHIFT)) CPUs=$((2 * $3)) Boards=1 SocketsPerBoard=2 CoresPerSocket=$3" \
    "ThreadsPerCore=1 RealMemory=$4 Feature=$5 ${6:+Gres=$6} State=UNKNOWN"
}

# The daemons can be told to listen at the address of this machine's name instead of all: where that is what they are asked at.
# Debian's 127.0.1.1 is no help: slurmdbd sends what it has for slurmctld to the address it was called from, and that is 127.0.0.1.
name_is_loopback() { [ "$(getent ahostsv4 "$SLURM_HOST" | awk 'NR == 1 { print $1 }')" = 127.0.0.1 ]; }

slurm_conf() {
  cat <<CONF
# Written by script/lab
ClusterName=lab
SlurmctldHost=$SLURM_HOST(127.0.0.1)
SlurmctldPort=$((6817 + SHIFT))
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$JWT_KEY
CredType=cred/munge
$(! name_is_loopback || echo CommunicationParameters=NoInAddrAny,NoCtldInAddrAny)
StateSaveLocation=$SLURM/state
SlurmctldPidFile=$SLURM/run/slurmctld.pid
SlurmctldLogFile=$SLURM/log/slurmctld.log
SlurmdSpoolDir=$SLURM/spool/%n
SlurmdPidFile=$SLURM/run/slurmd.%n.pid
SlurmdLogFile=$SLURM/log/slurmd.%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
# two real cores pretend to be forty
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
MessageTimeout=10
TCPTimeout=2
KillWait=5
InactiveLimit=0
MinJobAge=300
MaxJobCount=20000
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,bf_continue,sched_interval=5,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu,shard
PriorityType=priority/multifactor
PriorityWeightAge=100
PriorityWeightPartition=1000
JobRequeue=1
EnforcePartLimits=ALL
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((6819 + SHIFT))
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu,gres/gpu:v100,gres/gpu:a100,gres/shard
# no job_env: it would keep tokens
AccountingStoreFlags=job_comment,job_script
$(for i in 1 2 3 4 5; do node jnode0$i 1700$i 20 384000 v100,32g gpu:v100:2,shard:v100:16; done)
$(node v4n01 17011 20 384000 v100,32g gpu:v100:4)
$(node v2n01 17012 20 384000 v100,16g gpu:v100:2)
$(node a8n01 17013 32 1024000 a100,80g gpu:a100:8)
$(node bm01 17014 28 3000000 bigmem)
PartitionName=DEFAULT DefMemPerCPU=4000 DefaultTime=01:00:00 State=UP
PartitionName=jupyter Nodes=jnode[01-05] Default=YES OverSubscribe=NO DefCpuPerGPU=4 MaxTime=12:00:00 MaxNodes=1 PriorityJobFactor=10 QOS=jupyter_free AllowAccounts=ALL TRESBillingWeights="CPU=0.0"
PartitionName=cas_v100_4 Nodes=v4n01 AllowAccounts=paid OverSubscribe=EXCLUSIVE MaxTime=2-00:00:00 TRESBillingWeights="CPU=1.0,Mem=0.25G,GRES/gpu=10.0"
PartitionName=cas_v100_2 Nodes=v2n01 AllowAccounts=paid OverSubscribe=EXCLUSIVE MaxTime=2-00:00:00 TRESBillingWeights="CPU=1.0,Mem=0.25G,GRES/gpu=10.0"
PartitionName=amd_a100nv_8 Nodes=a8n01 AllowAccounts=paid OverSubscribe=EXCLUSIVE MaxTime=2-00:00:00 TRESBillingWeights="CPU=1.0,Mem=0.25G,GRES/gpu=25.0"
PartitionName=bigmem Nodes=bm01 AllowAccounts=paid OverSubscribe=EXCLUSIVE DefMemPerCPU=40000 MaxTime=2-00:00:00 TRESBillingWeights="CPU=2.0,Mem=0.5G"
CONF
}

gres_conf() {
  cat <<CONF
AutoDetect=off
NodeName=jnode[01-05] Name=gpu Type=v100 File=$SLURM/dev/nvidia[0-1]
NodeName=jnode[01-05] Name=shard Type=v100 Count=16
NodeName=v4n01 Name=gpu Type=v100 File=$SLURM/dev/nvidia[0-3]
NodeName=v2n01 Name=gpu Type=v100 File=$SLURM/dev/nvidia[0-1]
NodeName=a8n01 Name=gpu Type=a100 File=$SLURM/dev/nvidia[0-7]
CONF
}

# Nothing of cgroups is used; by default a slurmd asks for them all the same and ends where none are mounted, as in a container.
cgroup_conf() { echo CgroupPlugin=cgroup/v1; }

slurmdbd_conf() {
  cat <<CONF
AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$JWT_KEY
$(! name_is_loopback || echo CommunicationParameters=NoInAddrAny)
DbdHost=$SLURM_HOST
DbdAddr=127.0.0.1
DbdPort=$((6819 + SHIFT))
SlurmUser=slurm
LogFile=$SLURM/log/slurmdbd.log
PidFile=$SLURM/run/slurmdbd.pid
# Unix names in capitals exist
Parameters=PreserveCaseUser
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DB_PORT
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CONF
}
