package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Leftovers names everything on the host that an instance's networks have
// made and that is still there: nothing after all of them were deleted.
func Leftovers(instance string) ([]string, error) {
	n := names{instance}
	if err := n.validate(); err != nil {
		return nil, err
	}
	var all []string
	for _, look := range []func(names) ([]string, error){leftNamespaces, leftMounts, leftInHost} {
		found, err := look(n)
		if err != nil {
			return nil, fmt.Errorf("looking for what instance %s left behind: %w", instance, err)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return all, nil
}

func leftNamespaces(n names) ([]string, error) {
	files, err := os.ReadDir(namespaceDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var found []string
	for _, file := range files {
		if strings.HasPrefix(file.Name(), n.prefix()) {
			found = append(found, "network namespace "+file.Name())
		}
	}
	return found, nil
}

// leftMounts finds mounted namespaces, also where their file is gone.
func leftMounts(n names) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		const mountPoint = 4
		if len(fields) > mountPoint && strings.HasPrefix(fields[mountPoint], n.path("")) {
			found = append(found, "mount "+fields[mountPoint])
		}
	}
	return found, nil
}

func leftInHost(n names) ([]string, error) {
	host, err := openHost()
	if err != nil {
		return nil, err
	}
	defer host.close()
	var found []string
	links, err := host.links()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if link.Attrs().Group == n.mark() || link.Attrs().Name == n.hostLink() {
			found = append(found, "link "+link.Attrs().Name)
		}
	}
	routes, err := host.allRoutes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if r.Type == unix.RTN_BLACKHOLE && uint32(r.Priority) == n.mark() {
			found = append(found, "blackhole route "+destination(r).String())
		}
	}
	conn, err := host.filter()
	if err != nil {
		return nil, err
	}
	defer conn.CloseLasting()
	tables, err := conn.ListTablesOfFamily(hostFamily)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == n.hostTable() }) {
		found = append(found, "nftables table inet "+n.hostTable())
	}
	return found, nil
}
