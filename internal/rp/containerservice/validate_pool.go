package containerservice

import (
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/rp/resources"
)

// The limits of pools.
const (
	maxPoolNodes    = 1000
	maxClusterNodes = 5000
	maxPools        = 100
	minMaxPods      = 10
	maxMaxPods      = 250
	maxOSDiskGB     = 2048
	// defaultOSDiskType is where nobody said another one.
	defaultOSDiskType = "Managed"
)

// poolDraft is a pool on its way from body to desired state.
type poolDraft struct {
	*draft
	path string
	old  *containerservicev1alpha1.AgentPoolProfile
	pool *containerservicev1alpha1.AgentPoolProfile
}

func (p poolDraft) at(property string) string { return p.body.Path(p.path + property) }

// validate checks the values of a pool.
func (p poolDraft) validate() {
	pool := p.pool
	if !validPoolName(pool.Name) {
		p.fields.Invalid(p.at("name"), "The agent pool name '%.60s' is invalid: it has 1 to 12 lower-case letters and digits and begins with a letter.", pool.Name)
	}
	least := int32(0)
	switch {
	case strings.EqualFold(pool.Mode, "System"):
		pool.Mode, least = "System", 1
	case strings.EqualFold(pool.Mode, "User"):
		pool.Mode = "User"
	default:
		p.fields.Invalid(p.at("mode"), "The mode '%.60s' is invalid: it is System or User.", pool.Mode)
	}
	if pool.Count < least || pool.Count > maxPoolNodes {
		p.fields.Invalid(p.at("count"), "The count %d of the agent pool '%s' is out of range: a pool of mode %s has %d to %d nodes.", pool.Count, pool.Name, pool.Mode, least, maxPoolNodes)
	}
	if size, known := machine.SizeByName(pool.VMSize); known {
		pool.VMSize = size.Name
	} else {
		p.fields.Invalid(p.at("vmSize"), "The vmSize '%.60s' is not available. Available are: %s.", pool.VMSize, sizeNames())
	}
	if pool.OSDiskSizeGB < 1 || pool.OSDiskSizeGB > maxOSDiskGB {
		p.fields.Invalid(p.at("osDiskSizeGB"), "The osDiskSizeGB %d is out of range: it is 1 to %d, or 0 for the default of %d.", pool.OSDiskSizeGB, maxOSDiskGB, defaultOSDiskGB)
	}
	if pool.MaxPods < minMaxPods || pool.MaxPods > maxMaxPods {
		p.fields.Invalid(p.at("maxPods"), "The maxPods %d is out of range: it is %d to %d.", pool.MaxPods, minMaxPods, maxMaxPods)
	}
	p.validateSystem()
	p.validateLabels()
	for i, taint := range pool.NodeTaints {
		if why := checkTaint(taint); why != "" {
			p.fields.Invalid(p.at("nodeTaints")+index(i), "The node taint '%.100s' is invalid: %s.", taint, why)
		}
	}
	resources.CheckTags(pool.Tags, p.at("tags"), p.fields)
}

func (p poolDraft) validateLabels() {
	keys := slices.Collect(maps.Keys(p.pool.NodeLabels))
	sort.Strings(keys)
	for _, key := range keys {
		at := p.at("nodeLabels." + key)
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			p.fields.Invalid(at, "The node label '%.100s' is invalid: %s.", key, strings.Join(problems, "; "))
			continue
		}
		if reservedLabel(key) {
			p.fields.Invalid(at, "The node label '%s' is invalid: its prefix is reserved.", key)
		}
		if problems := validation.IsValidLabelValue(p.pool.NodeLabels[key]); len(problems) > 0 {
			p.fields.Invalid(at, "The value of the node label '%s' is invalid: %s.", key, strings.Join(problems, "; "))
		}
	}
}

// reservedLabel says whether a label is the service's own, or one that a
// kubelet may not give itself.
func reservedLabel(key string) bool {
	prefix, _, prefixed := strings.Cut(key, "/")
	if !prefixed {
		return false
	}
	for _, own := range []string{"kubelet.kubernetes.io", "node.kubernetes.io"} {
		if prefix == own || strings.HasSuffix(prefix, "."+own) {
			return false
		}
	}
	for _, reserved := range []string{"kubernetes.io", "k8s.io", "kubernetes.azure.com"} {
		if prefix == reserved || strings.HasSuffix(prefix, "."+reserved) {
			return true
		}
	}
	return false
}

// checkTaint says what is wrong with a taint key=value:effect, "" if nothing.
func checkTaint(taint string) string {
	pair, effect, found := strings.Cut(taint, ":")
	key, value, hasValue := strings.Cut(pair, "=")
	switch {
	case !found || !hasValue:
		return "it has the form key=value:effect"
	case effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute":
		return "its effect is NoSchedule, PreferNoSchedule or NoExecute"
	case len(validation.IsQualifiedName(key)) > 0:
		return "its key is no qualified name"
	case len(validation.IsValidLabelValue(value)) > 0:
		return "its value is no label value"
	default:
		return ""
	}
}

// validateChange checks what may not change in a pool that exists.
func (p poolDraft) validateChange() {
	p.fixed("vmSize", p.pool.VMSize == p.old.VMSize)
	p.fixed("osDiskSizeGB", p.pool.OSDiskSizeGB == p.old.OSDiskSizeGB)
	p.fixed("maxPods", p.pool.MaxPods == p.old.MaxPods)
	p.fixed("vnetSubnetID", strings.EqualFold(p.pool.VNetSubnetID, p.old.VNetSubnetID))
	p.fixed("podSubnetID", strings.EqualFold(p.pool.PodSubnetID, p.old.PodSubnetID))
	const diskType = "osDiskType" // without effect here, and yet for life
	if given, ok := p.body.Value(p.path + diskType).(string); ok {
		kept, _ := loadValues(p.draft.old)[p.pool.Name][diskType].(string)
		p.fixed(diskType, strings.EqualFold(given, firstOf(kept, defaultOSDiskType)))
	}
	p.validatePower()
}

func validPoolName(name string) bool {
	return regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`).MatchString(name)
}

func sizeNames() string {
	var names []string
	for _, size := range machine.Sizes() {
		names = append(names, size.Name)
	}
	return strings.Join(names, ", ")
}
