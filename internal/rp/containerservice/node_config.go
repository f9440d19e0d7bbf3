package containerservice

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// kubeletRequest is what acts in the kubelet's settings of a pool.
type kubeletRequest struct {
	CPUCfsQuota           *bool    `json:"cpuCfsQuota"`
	CPUCfsQuotaPeriod     string   `json:"cpuCfsQuotaPeriod"`
	ImageGcHighThreshold  *int32   `json:"imageGcHighThreshold"`
	ImageGcLowThreshold   *int32   `json:"imageGcLowThreshold"`
	TopologyManagerPolicy string   `json:"topologyManagerPolicy"`
	AllowedUnsafeSysctls  []string `json:"allowedUnsafeSysctls"`
	ContainerLogMaxSizeMB *int32   `json:"containerLogMaxSizeMB"`
	ContainerLogMaxFiles  *int32   `json:"containerLogMaxFiles"`
	PodMaxPids            *int32   `json:"podMaxPids"`
}

// systemRequest is what acts in the settings of the operating system.
type systemRequest struct {
	Sysctls map[string]any `json:"sysctls"`
}

// The shares of the disk at which the kubelet removes images, where a caller says nothing.
const (
	defaultImageGCHigh = 85
	defaultImageGCLow  = 80
)

// sysctls are the kernel's names of the settings that a machine has for itself.
func sysctls() map[string]string {
	return map[string]string{
		"netCoreSomaxconn":          "net.core.somaxconn",
		"netIpv4TcpMaxSynBacklog":   "net.ipv4.tcp_max_syn_backlog",
		"netIpv4TcpMaxTwBuckets":    "net.ipv4.tcp_max_tw_buckets",
		"netIpv4TcpFinTimeout":      "net.ipv4.tcp_fin_timeout",
		"netIpv4TcpKeepaliveTime":   "net.ipv4.tcp_keepalive_time",
		"netIpv4TcpKeepaliveProbes": "net.ipv4.tcp_keepalive_probes",
		"netIpv4TcpkeepaliveIntvl":  "net.ipv4.tcp_keepalive_intvl",
		"netIpv4TcpTwReuse":         "net.ipv4.tcp_tw_reuse",
		"netIpv4IpLocalPortRange":   "net.ipv4.ip_local_port_range",
	}
}

// nodeConfig sets what a pool's nodes are made with: their zones, and the
// settings of kubelet and kernel.
func (p poolDraft) nodeConfig(request poolRequest) {
	if request.AvailabilityZones != nil {
		p.pool.AvailabilityZones = slices.Sorted(slices.Values(request.AvailabilityZones))
		if len(slices.Compact(slices.Clone(p.pool.AvailabilityZones))) != len(p.pool.AvailabilityZones) {
			p.fields.Invalid(p.at("availabilityZones"), "The availabilityZones of the agent pool '%s' name a zone twice.", p.pool.Name)
		}
	}
	if given := request.KubeletConfig; given != nil {
		p.kubelet(given)
	}
	if request.LinuxOSConfig != nil && request.LinuxOSConfig.Sysctls != nil {
		p.sysctls()
	}
	if p.old == nil {
		return
	}
	for property, same := range map[string]bool{
		"availabilityZones": slices.Equal(p.pool.AvailabilityZones, p.old.AvailabilityZones),
		"kubeletConfig":     equality.Semantic.DeepEqual(p.pool.KubeletConfig, p.old.KubeletConfig),
		"linuxOSConfig":     equality.Semantic.DeepEqual(p.pool.Sysctls, p.old.Sysctls),
	} {
		p.fixed(property, same)
	}
}

func (p poolDraft) kubelet(given *kubeletRequest) {
	p.pool.KubeletConfig = &containerservicev1alpha1.KubeletConfig{
		CPUCFSQuota: given.CPUCfsQuota, CPUCFSQuotaPeriod: given.CPUCfsQuotaPeriod,
		ImageGCHighThreshold: given.ImageGcHighThreshold, ImageGCLowThreshold: given.ImageGcLowThreshold,
		TopologyManagerPolicy: strings.ToLower(given.TopologyManagerPolicy), AllowedUnsafeSysctls: given.AllowedUnsafeSysctls,
		ContainerLogMaxSizeMB: given.ContainerLogMaxSizeMB, ContainerLogMaxFiles: given.ContainerLogMaxFiles, PodMaxPIDs: given.PodMaxPids,
	}
	if equality.Semantic.DeepEqual(p.pool.KubeletConfig, &containerservicev1alpha1.KubeletConfig{}) {
		p.pool.KubeletConfig = nil
	}
	if high, low := valueOr(given.ImageGcHighThreshold, defaultImageGCHigh), valueOr(given.ImageGcLowThreshold, defaultImageGCLow); low >= high {
		p.fields.Invalid(p.at("kubeletConfig.imageGcLowThreshold"), "The imageGcLowThreshold %d is not below the imageGcHighThreshold %d; what is not given is %d and %d.",
			low, high, defaultImageGCLow, defaultImageGCHigh)
	}
	if text := given.CPUCfsQuotaPeriod; text != "" {
		if period, err := time.ParseDuration(text); err != nil || period < time.Millisecond || period > time.Second {
			p.fields.Invalid(p.at("kubeletConfig.cpuCfsQuotaPeriod"), "The cpuCfsQuotaPeriod '%.60s' is invalid: it is a duration of 1ms to 1s such as 100ms.", text)
		}
	}
	if limit := given.PodMaxPids; limit != nil && *limit < -1 {
		p.fields.Invalid(p.at("kubeletConfig.podMaxPids"), "The podMaxPids %d is out of range: it is the most processes of a pod, or -1 for no limit.", *limit)
	}
	for i, name := range given.AllowedUnsafeSysctls {
		if !perPod(name) {
			p.fields.Invalid(p.at("kubeletConfig.allowedUnsafeSysctls")+index(i),
				"The sysctl '%.60s' is not one that a pod can have for itself: allowed are kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* and net.*.", name)
		}
	}
}

// perPod says whether the kernel keeps a setting for each pod.
func perPod(name string) bool {
	if name == "kernel.sem" {
		return true
	}
	return slices.ContainsFunc([]string{"kernel.shm", "kernel.msg", "fs.mqueue.", "net."}, func(prefix string) bool {
		rest, found := strings.CutPrefix(name, prefix)
		return found && rest != "" && !strings.ContainsAny(strings.TrimSuffix(rest, "*"), "* /")
	})
}

// sysctls reads the kernel's settings out of the body, whose ranges the table has checked.
func (p poolDraft) sysctls() {
	p.pool.Sysctls = map[string]string{}
	for property, name := range sysctls() {
		path := p.path + "linuxOSConfig.sysctls." + property
		switch value := p.body.Value(path).(type) {
		case bool:
			p.pool.Sysctls[name] = map[bool]string{false: "0", true: "1"}[value]
		case json.Number:
			p.pool.Sysctls[name] = value.String()
		case string:
			if p.pool.Sysctls[name] = strings.Join(strings.Fields(value), " "); !portRange(value) {
				p.fields.Invalid(p.body.Path(path), "The netIpv4IpLocalPortRange '%.60s' is invalid: it is the first port of 1024 to 60999 and the last of 32768 to 65535, parted by a blank.", value)
			}
		}
	}
	if len(p.pool.Sysctls) == 0 {
		p.pool.Sysctls = nil
	}
}

func portRange(text string) bool {
	var first, last int
	count, err := fmt.Sscanf(text, "%d %d", &first, &last)
	return err == nil && count == 2 && first >= 1024 && first <= 60999 && last >= 32768 && last <= 65535 && first < last
}

// fixed refuses the change of what a pool has for life, and says what works.
func (p poolDraft) fixed(property string, same bool) {
	if !same {
		p.fields.Add(arm.CodeChangeNotAllowed, p.at(property),
			"Changing property '%s' of the agent pool '%s' is not allowed: nodes have it for life. Make a new pool with it ('az aks nodepool add'), drain the nodes of this one ('kubectl drain -l agentpool=%s --ignore-daemonsets') and delete it ('az aks nodepool delete').",
			p.at(property), p.pool.Name, p.pool.Name)
	}
}

// nodeConfigBody puts what nodeConfig read into a pool's answer.
func nodeConfigBody(body object, profile *containerservicev1alpha1.AgentPoolProfile) {
	if len(profile.AvailabilityZones) > 0 {
		body["availabilityZones"] = profile.AvailabilityZones
	}
	if config := profile.KubeletConfig; config != nil {
		body["kubeletConfig"] = kubeletBody(config)
	}
	settings := object{}
	for property, name := range sysctls() {
		switch value, there := profile.Sysctls[name]; {
		case !there:
		case property == "netIpv4TcpTwReuse":
			settings[property] = value == "1"
		case property == "netIpv4IpLocalPortRange":
			settings[property] = value
		default:
			settings[property], _ = strconv.Atoi(value)
		}
	}
	if len(settings) > 0 {
		body["linuxOSConfig"] = object{"sysctls": settings}
	}
}

func kubeletBody(config *containerservicev1alpha1.KubeletConfig) object {
	body := object{}
	if config.CPUCFSQuota != nil {
		body["cpuCfsQuota"] = *config.CPUCFSQuota
	}
	for property, value := range map[string]string{"cpuCfsQuotaPeriod": config.CPUCFSQuotaPeriod, "topologyManagerPolicy": config.TopologyManagerPolicy} {
		if value != "" {
			body[property] = value
		}
	}
	for property, value := range map[string]*int32{
		"imageGcHighThreshold": config.ImageGCHighThreshold, "imageGcLowThreshold": config.ImageGCLowThreshold,
		"containerLogMaxSizeMB": config.ContainerLogMaxSizeMB, "containerLogMaxFiles": config.ContainerLogMaxFiles, "podMaxPids": config.PodMaxPIDs,
	} {
		if value != nil {
			body[property] = *value
		}
	}
	if len(config.AllowedUnsafeSysctls) > 0 {
		body["allowedUnsafeSysctls"] = config.AllowedUnsafeSysctls
	}
	return body
}

func valueOr(given *int32, otherwise int32) int32 {
	if given == nil {
		return otherwise
	}
	return *given
}
