package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"berth.dev/berth/internal/management/mirror"
)

// role says what of the service a process is. Each has a front end.
type role string

const (
	// roleAll is the host agent and controllers too. One process of a management
	// API has this role: the host is its home's.
	roleAll role = "all"
	// roleControl is controllers too, which wait until no other process leads.
	roleControl role = "control"
	// roleFrontEnd is nothing else.
	roleFrontEnd role = "frontend"
)

// validateRole finds what cannot be among the options of shared management.
func (o *Options) validateRole() (problems []error) {
	switch role(o.Role) {
	case roleAll:
	case roleControl, roleFrontEnd:
		if !o.shared() {
			problems = append(problems, fmt.Errorf("--role %s: needs --management-kubeconfig, the management API that it shares with the process of the role %s", o.Role, roleAll))
		}
	default:
		problems = append(problems, fmt.Errorf("--role %q: use %s, %s or %s", o.Role, roleAll, roleControl, roleFrontEnd))
	}
	if !o.shared() {
		return problems
	}
	// The daemon works in another directory than the command that starts it.
	if path, err := filepath.Abs(o.ManagementKubeconfig); err == nil {
		o.ManagementKubeconfig = path
	}
	info, err := os.Stat(o.ManagementKubeconfig)
	if err != nil {
		return append(problems, fmt.Errorf("--management-kubeconfig: %w", err))
	}
	if info.Mode().Perm()&0o004 != 0 {
		problems = append(problems, fmt.Errorf("--management-kubeconfig: everyone on this host may read %s, which holds credentials: chmod 600 %s",
			o.ManagementKubeconfig, o.ManagementKubeconfig))
	}
	return problems
}

// shared says whether the management API is one that other processes have too.
func (o *Options) shared() bool { return o.ManagementKubeconfig != "" }

// hosts says whether this process looks after a host.
func (d *daemon) hosts() bool { return role(d.options.Role) == roleAll }

// controls says whether this process has controllers.
func (d *daemon) controls() bool { return role(d.options.Role) != roleFrontEnd }

// reader is what the front end reads and writes with. Where this process alone
// writes what callers are told of, it may read from its cache; a front end that
// has others beside it reads the management API itself.
func (d *daemon) reader(ctx context.Context, m manager.Manager, live client.Client) (client.Client, error) {
	if d.options.shared() {
		return live, nil
	}
	return mirror.New(ctx, live, m.GetCache(), mirrored()...)
}

// control runs the controllers, if this process has any. One that loses the
// leadership ends the process, as it does everywhere in Kubernetes: nothing else
// makes sure that it writes no more. Whoever keeps the service starts it again.
func (d *daemon) control(ctx context.Context, m manager.Manager) error {
	if m == nil {
		return nil
	}
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

// keepManagement keeps the install's own management API.
func (d *daemon) keepManagement(ctx context.Context) error {
	if d.management == nil {
		return nil
	}
	return d.management.Keep(ctx, d.log)
}

// resident is a manager whose runnables run whether or not the process leads:
// what is bound to a host is that host's business.
type resident struct{ manager.Manager }

// Add implements manager.Manager.
func (r resident) Add(runnable manager.Runnable) error {
	return r.Manager.Add(always{runnable})
}

type always struct{ manager.Runnable }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (always) NeedLeaderElection() bool { return false }

// fronts are the listeners of the front end.
func (l *listening) fronts() []net.Listener {
	fronts := []net.Listener{l.front}
	if l.edge != nil {
		fronts = append(fronts, l.edge)
	}
	return fronts
}

// edgeURL is the front end's address on the edge, empty if this process has none.
func (l *listening) edgeURL() string {
	if l.edge == nil {
		return ""
	}
	return "https://" + l.plan.FrontEnd.String()
}

// errOwnManagement says that a home cannot be made to share.
var errOwnManagement = errors.New("this home has a management API of its own, whose objects --management-kubeconfig would leave behind: use another home, or take this install down with berth down --purge")
