// Package app wires Berth together: which drivers, controllers and listeners
// there are, in what order they start, and how an install is started, asked
// and stopped. It is the only package that knows every other; it decides
// nothing that one of them could decide.
package app

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"berth.dev/berth/internal/controller/agentpool"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/preflight"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/rp/containerservice"
	"berth.dev/berth/internal/throttle"
)

// Options are what an operator decides of an install. A flag that is not given
// is taken from the environment, then from what the install was last started
// with, then from its default.
type Options struct {
	// Home is the home directory.
	Home string
	// CacheDir is where built releases lie.
	CacheDir string
	// Listen is the address of the front end on the host.
	Listen string
	// PublicURL is the base URL under which clients know the front end; empty: the address on loopback.
	PublicURL string
	// DNSZone is the zone that clusters' names lie in, Location the region's name.
	DNSZone, Location string
	// PublicRange is the pool of public addresses; empty: a free one is picked.
	PublicRange string
	// Egress lets clusters reach what lies outside of the public range.
	Egress bool
	// Announce is a link of the host over which others reach the public range; empty: none.
	Announce string
	// CPUOvercommit and MemoryOvercommit say how much more than the host has is given out.
	CPUOvercommit, MemoryOvercommit int32
	// AllowNoAgentPools accepts clusters without agent pools.
	AllowNoAgentPools bool
	// Prestarted is how many control planes wait for a cluster that is created.
	Prestarted int
	// UnsupportedProperties is refuse or record: what becomes of a property of the API that nothing acts on yet.
	UnsupportedProperties string
	// DNSResolvable says that the zone can be resolved by clients, so that kubeconfigs carry names.
	DNSResolvable bool
	// MetricsListen is the address of metrics and health on loopback.
	MetricsListen string
	// ManagementKubeconfig is a kubeconfig of the management API, which several
	// processes may share; empty: the install has one of its own.
	ManagementKubeconfig string
	// Role is what of the service this process is: all, control or frontend.
	Role string
	// Throttle names the limits of how often callers may call: generous, aks or off.
	Throttle string
	// UpgradeSoak is for how long a control plane of another minor has to be healthy
	// until it is lifted and the pools follow, ControlPlaneSoak the same where it
	// is upgraded alone.
	UpgradeSoak, ControlPlaneSoak time.Duration
	// NodeReadyTimeout is how long a new node has to become ready until the replacing
	// of a pool's nodes stops there.
	NodeReadyTimeout time.Duration
	// MaxConnections is how many connections may be open at each address of the front end.
	MaxConnections int
	// LogFormat is text or json.
	LogFormat string
}

// The defaults that have to be chosen on a host are not among these.
const (
	defaultListenPort = 7443
	defaultDNSZone    = "berth.internal"
	defaultLocation   = "local"
	// A virtual CPU is mostly idle; memory that is given out twice is seldom
	// all used, and a machine that overuses it is stopped by its own limit.
	defaultCPUOvercommit    = 8
	defaultMemoryOvercommit = 2
	// Each may have a request in hand whose body is as large as arm.MaxBody.
	defaultMaxConnections = 1024
	// They are started one after the other, whenever nothing else is done: more would
	// seldom all be there.
	maxPrestarted = 20
)

// The values of --unsupported-properties.
const (
	refuseUnsupported = "refuse"
	recordUnsupported = "record"
)

// BindFlags adds the options to a command's flags.
func (o *Options) BindFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Home, "home", "", "directory of the install's state (default "+home.DefaultDir+")")
	flags.StringVar(&o.CacheDir, "cache-dir", release.DefaultDir, "directory of built Kubernetes releases")
	flags.StringVar(&o.Listen, "listen", "", "address and port of the ARM front end (default 127.0.0.1:7443, or the next free port)")
	flags.StringVar(&o.PublicURL, "public-url", "", "base URL under which clients reach the front end (default the address on loopback)")
	flags.StringVar(&o.DNSZone, "dns-zone", defaultDNSZone, "DNS zone that the names of clusters lie in; decided once")
	flags.StringVar(&o.Location, "location", defaultLocation, "name of the install's only region; decided once")
	flags.StringVar(&o.PublicRange, "public-range", "", "pool of public addresses (default a free /20 of 198.18.0.0/15); decided once")
	flags.BoolVar(&o.Egress, "egress", false, "let clusters reach what lies outside of the public range, with an address of this host")
	flags.StringVar(&o.Announce, "announce", "", "link of this host on which it answers for the public range, so that others on that link reach it")
	flags.Int32Var(&o.CPUOvercommit, "cpu-overcommit", defaultCPUOvercommit, "virtual CPUs that are given out for each CPU")
	flags.Int32Var(&o.MemoryOvercommit, "memory-overcommit", defaultMemoryOvercommit, "MiB of memory that are given out for each MiB")
	flags.BoolVar(&o.AllowNoAgentPools, "allow-no-agent-pools", false, "accept clusters without agent pools, for customers who bring their own nodes")
	flags.IntVar(&o.Prestarted, "prestarted", 0,
		"control planes of the default version that run ahead of the clusters that will have them, each with the memory of an idle one")
	flags.StringVar(&o.UnsupportedProperties, "unsupported-properties", refuseUnsupported,
		"what becomes of properties that nothing acts on yet: refuse, or record (kept, given back, and listed in a condition and a header)")
	flags.BoolVar(&o.DNSResolvable, "dns-resolvable", false, "clients can resolve the DNS zone: kubeconfigs carry names instead of addresses")
	flags.StringVar(&o.MetricsListen, "metrics-listen", "", "loopback address of metrics and health (default a free port)")
	flags.StringVar(&o.Throttle, "throttle", string(throttle.Generous),
		"how often callers may call: generous (ten times ARM's limits), aks (the public service's, with its resource provider's) or off")
	flags.StringVar(&o.ManagementKubeconfig, "management-kubeconfig", "",
		"kubeconfig of an existing cluster that is to hold Berth's objects (default a management API of the install's own); decided once")
	flags.StringVar(&o.Role, "role", string(roleAll),
		"what this process is, with --management-kubeconfig: all, control (front end and controllers, no host) or frontend (nothing else)")
	flags.DurationVar(&o.UpgradeSoak, "upgrade-soak", containerservice.DefaultSoak,
		"how long a control plane of another minor has to be healthy until it is lifted, and the node pools follow")
	flags.DurationVar(&o.ControlPlaneSoak, "control-plane-soak", containerservice.DefaultControlPlaneSoak,
		"the same for an upgrade of the control plane alone")
	flags.DurationVar(&o.NodeReadyTimeout, "node-ready-timeout", agentpool.DefaultReadyTimeout,
		"how long a new node has to become ready until the upgrade of its pool stops there")
	flags.IntVar(&o.MaxConnections, "max-connections", defaultMaxConnections,
		"connections that may be open at each address of the front end; further ones wait")
	flags.StringVar(&o.LogFormat, "log-format", "text", "format of the log: text or json")
}

// environment names the variable that stands in for each flag.
func environment() map[string]string {
	return map[string]string{
		"home":                   "BERTH_HOME",
		"cache-dir":              "BERTH_CACHE",
		"listen":                 "BERTH_LISTEN",
		"public-url":             "BERTH_PUBLIC_URL",
		"dns-zone":               "BERTH_DNS_ZONE",
		"location":               "BERTH_LOCATION",
		"public-range":           "BERTH_PUBLIC_RANGE",
		"egress":                 "BERTH_EGRESS",
		"announce":               "BERTH_ANNOUNCE",
		"cpu-overcommit":         "BERTH_CPU_OVERCOMMIT",
		"memory-overcommit":      "BERTH_MEMORY_OVERCOMMIT",
		"allow-no-agent-pools":   "BERTH_ALLOW_NO_AGENT_POOLS",
		"prestarted":             "BERTH_PRESTARTED",
		"unsupported-properties": "BERTH_UNSUPPORTED_PROPERTIES",
		"dns-resolvable":         "BERTH_DNS_RESOLVABLE",
		"metrics-listen":         "BERTH_METRICS_LISTEN",
		"management-kubeconfig":  "BERTH_MANAGEMENT_KUBECONFIG",
		"role":                   "BERTH_ROLE",
		"throttle":               "BERTH_THROTTLE",
		"upgrade-soak":           "BERTH_UPGRADE_SOAK",
		"control-plane-soak":     "BERTH_CONTROL_PLANE_SOAK",
		"node-ready-timeout":     "BERTH_NODE_READY_TIMEOUT",
		"max-connections":        "BERTH_MAX_CONNECTIONS",
		"log-format":             "BERTH_LOG_FORMAT",
	}
}

// transient are the flags that are no property of an install.
func transient() map[string]bool { return map[string]bool{"home": true, "log-format": true} }

// once are the flags that cannot change after the first start, because
// clusters carry them.
func once() []string { return []string{"dns-zone", "location"} }

// Complete fills in what was not given on the command line. flags are the set
// that BindFlags was called with, parsed.
func (o *Options) Complete(flags *pflag.FlagSet) error {
	given, err := readEnvironment(flags)
	if err != nil {
		return err
	}
	dir, err := home.Dir(o.Home)
	if err != nil {
		return fmt.Errorf("finding the home: %w", err)
	}
	o.Home = dir
	stored, err := o.stored()
	if err != nil {
		return err
	}
	for _, name := range once() {
		if was, known := stored[name]; known && given[name] && was != flags.Lookup(name).Value.String() {
			return fmt.Errorf("--%s was decided as %q when this install was first started and cannot change: clusters carry it", name, was)
		}
	}
	for name, value := range stored {
		if flags.Lookup(name) == nil || given[name] || transient()[name] {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("reading the stored option %s: %w", name, err)
		}
	}
	return o.Validate()
}

// readEnvironment sets the flags that only the environment gives, and says
// which were given at all.
func readEnvironment(flags *pflag.FlagSet) (given map[string]bool, err error) {
	given = map[string]bool{}
	for name, variable := range environment() {
		flag := flags.Lookup(name)
		value, set := os.LookupEnv(variable)
		given[name] = flag.Changed || set && value != ""
		if flag.Changed || !given[name] {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return nil, fmt.Errorf("reading %s from the environment: %w", variable, err)
		}
	}
	return given, nil
}

// Validate finds every option that cannot be.
func (o *Options) Validate() error {
	problems := append(o.validateNames(), o.validateAddresses()...)
	if o.CPUOvercommit < 1 || o.MemoryOvercommit < 1 {
		problems = append(problems, errors.New("--cpu-overcommit and --memory-overcommit are 1 or more"))
	}
	if o.Prestarted < 0 || o.Prestarted > maxPrestarted {
		problems = append(problems, fmt.Errorf("--prestarted %d: use 0 to %d; each takes the memory of an idle control plane", o.Prestarted, maxPrestarted))
	}
	if o.UnsupportedProperties != refuseUnsupported && o.UnsupportedProperties != recordUnsupported {
		problems = append(problems, fmt.Errorf("--unsupported-properties %q: use %s or %s", o.UnsupportedProperties, refuseUnsupported, recordUnsupported))
	}
	if o.UpgradeSoak <= 0 || o.ControlPlaneSoak <= 0 {
		problems = append(problems, errors.New("--upgrade-soak and --control-plane-soak are more than 0: what is lifted at once cannot be rolled back"))
	}
	if o.NodeReadyTimeout < time.Second {
		problems = append(problems, errors.New("--node-ready-timeout is 1s or more"))
	}
	if o.LogFormat != "text" && o.LogFormat != "json" {
		problems = append(problems, fmt.Errorf("--log-format %q: use text or json", o.LogFormat))
	}
	if o.MaxConnections < 1 {
		problems = append(problems, errors.New("--max-connections is 1 or more"))
	}
	problems = append(problems, o.validateRole()...)
	if _, err := throttle.ParseMode(o.Throttle); err != nil {
		problems = append(problems, fmt.Errorf("--throttle: %w", err))
	}
	return errors.Join(problems...)
}

func (o *Options) validateNames() (problems []error) {
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	if !label.MatchString(o.Location) {
		problems = append(problems, fmt.Errorf("--location %q: use lower-case letters, digits and dashes", o.Location))
	}
	for part := range strings.SplitSeq(o.DNSZone, ".") {
		if !label.MatchString(part) {
			problems = append(problems, fmt.Errorf("--dns-zone %q: use a DNS name in lower case", o.DNSZone))
			break
		}
	}
	if o.PublicURL != "" {
		if u, err := url.Parse(o.PublicURL); err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			problems = append(problems, fmt.Errorf("--public-url %q: use https://<host>[:<port>] without a path", o.PublicURL))
		}
	}
	return problems
}

func (o *Options) validateAddresses() (problems []error) {
	for flag, address := range map[string]string{"listen": o.Listen, "metrics-listen": o.MetricsListen} {
		if address == "" {
			continue
		}
		parsed, err := netip.ParseAddrPort(address)
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s %q: use an address and a port, e.g. 127.0.0.1:7443", flag, address))
		} else if flag == "metrics-listen" && !parsed.Addr().IsLoopback() {
			problems = append(problems, fmt.Errorf("--metrics-listen %q: metrics and health carry no authentication and stay on loopback", address))
		}
	}
	if o.PublicRange != "" {
		if prefix, err := netip.ParsePrefix(o.PublicRange); err != nil || !prefix.Addr().Is4() || prefix != prefix.Masked() || prefix.Bits() > 26 {
			problems = append(problems, fmt.Errorf("--public-range %q: use an IPv4 range of 64 addresses or more in canonical notation, e.g. 198.18.0.0/20", o.PublicRange))
		}
	}
	if o.Announce != "" && o.PublicRange == "" {
		problems = append(problems, fmt.Errorf("--announce %s: name a part of that link's network that nobody has with --public-range; what Berth would pick is routed nowhere", o.Announce))
	}
	return problems
}

// stored is what the install was last started with, by flag.
func (o *Options) stored() (map[string]string, error) {
	stored := map[string]string{}
	_, err := home.ReadJSON(home.Home{Dir: o.Home}.OptionsFile(), &stored)
	return stored, err
}

// unchanged refuses options that a running daemon was not started with: it
// takes them up at a restart alone, and ignoring them would look like success.
func (o *Options) unchanged() error {
	h, err := home.Open(o.Home)
	if err != nil {
		return nil //nolint:nilerr // what is wrong with the home is said by who makes it
	}
	daemon, found, err := h.ReadDaemon()
	if err != nil || !found || !daemon.Alive() {
		return err
	}
	stored, err := o.stored()
	if err != nil {
		return err
	}
	var changed []string
	for _, argument := range o.arguments() {
		name, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		if was, known := stored[name]; known && was != value {
			changed = append(changed, argument)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return fmt.Errorf("%w (pid %d) with other options, and takes these up at a restart, which clusters do not notice: berth restart %s",
		ErrRunning, daemon.PID, strings.Join(changed, " "))
}

// store keeps the options for the next start.
func (o *Options) store(h home.Home) error {
	var copied Options
	flags := pflag.NewFlagSet("stored", pflag.ContinueOnError)
	copied.BindFlags(flags)
	copied = *o
	values := map[string]string{}
	flags.VisitAll(func(flag *pflag.Flag) {
		if !transient()[flag.Name] {
			values[flag.Name] = flag.Value.String()
		}
	})
	return home.WriteJSON(h.OptionsFile(), values, 0o644)
}

// arguments are the options as a command line. None of them is a secret.
func (o *Options) arguments() []string {
	var copied Options
	flags := pflag.NewFlagSet("arguments", pflag.ContinueOnError)
	copied.BindFlags(flags)
	copied = *o
	var arguments []string
	flags.VisitAll(func(flag *pflag.Flag) {
		arguments = append(arguments, "--"+flag.Name+"="+flag.Value.String())
	})
	return arguments
}

// preflight are the checks that the options ask for.
func (o *Options) preflight() preflight.Options {
	prefix, _ := netip.ParsePrefix(o.PublicRange) // the zero Prefix stands for "not given"
	checks := preflight.Options{
		Home: o.Home, Cache: o.CacheDir, Listen: o.Listen, MetricsListen: o.MetricsListen, PublicRange: prefix, Announced: o.Announce != "", HostRoutes: hostRoutes(),
	}
	if h, err := home.Open(o.Home); err == nil {
		daemon, found, err := h.ReadDaemon()
		checks.Running = err == nil && found && daemon.Alive()
		// What runs was started with what is stored.
		if stored, err := o.stored(); err == nil && checks.Running {
			checks.Own = []string{stored["listen"], stored["metrics-listen"]}
		}
	}
	return checks
}
