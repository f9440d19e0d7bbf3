package linux

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// counterSeparator stands between the parts of the name of a rule's counter; no
// name of a subnet or rule has it.
const counterSeparator = "/"

// ruleCounter names the counter of a security rule.
func ruleCounter(subnet network.Subnet, r network.SecurityRule) string {
	return strings.Join([]string{"rule", string(r.Direction), subnet.Name, r.Name}, counterSeparator)
}

// counted is what named counters of a table have counted.
func counted(conn *nftables.Conn, table *nftables.Table) (map[string]expr.Counter, error) {
	objects, err := conn.GetNamedObjects(table)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the counters of table %s: %w", table.Name, err)
	}
	counters := map[string]expr.Counter{}
	for _, object := range objects {
		named, ok := object.(*nftables.NamedObj)
		if !ok {
			continue
		}
		if counter, ok := named.Obj.(*expr.Counter); ok {
			counters[named.Name] = *counter
		}
	}
	return counters, nil
}

// count counts in a named counter, which goes on from where it was before the
// table was made anew.
func (t *transaction) count(name string) terms {
	if !t.counting[name] {
		before := t.counters[name]
		t.conn.AddObj(&nftables.CounterObj{Table: t.table, Name: name, Packets: before.Packets, Bytes: before.Bytes})
		t.counting[name] = true
	}
	return terms{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: name}}
}
