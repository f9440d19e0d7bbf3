package network

import "context"

// Meter is a Fabric that counts what goes through its networks.
type Meter interface {
	// Measure is what has been counted in every network of this host. A network
	// that cannot be measured is left out, and the error says why.
	Measure(ctx context.Context) ([]Usage, error)
}

// Usage is what was counted in one network since its router was made.
type Usage struct {
	// Network is its ID.
	Network string
	// Tracked is how many connections its router knows now, and TrackedLimit how
	// many it can know. Every network has a table of its own.
	Tracked, TrackedLimit uint64
	// Rejected is how many connections the router could not take note of: for want
	// of room, or of a source port to leave with.
	Rejected uint64
	// Evicted is how many unanswered ones it forgot to make room.
	Evicted uint64
	// Rules are the security rules, of each subnet.
	Rules []RuleUsage
	// Services are the frontends.
	Services []ServiceUsage
	// Shares are the source ports of the outbound addresses.
	Shares []ShareUsage
	// Nodes are the machines that balancers send to.
	Nodes []NodeUsage
}

// NodeUsage says how a machine stands that balancers send to.
type NodeUsage struct {
	// Port is the ID of the machine's port.
	Port string
	// Forwards is false while the machine says that it does not send on what comes
	// for services, or says nothing.
	Forwards bool
}

// RuleUsage counts the connections that a security rule decided about.
type RuleUsage struct {
	Subnet    string
	Direction Direction
	Rule      string
	// Connections are those of any protocol, each counted by its first packet.
	Connections uint64
}

// ServiceUsage counts the connections that a balancer spread.
type ServiceUsage struct {
	// Name is the frontend's.
	Name        string
	Connections uint64
}

// ShareUsage is how much of the source ports that a machine leaves with is in use.
type ShareUsage struct {
	// Port is the ID of the machine's port.
	Port string
	// Used is how many connections of the machine and its pods leave now. To
	// each destination there may be Limit of them.
	Used, Limit uint64
}
