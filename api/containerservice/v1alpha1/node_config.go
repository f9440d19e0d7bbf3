package v1alpha1

// KubeletConfig are the settings of a pool's kubelets that a caller chose; what
// is not there is upstream's default, or Berth's.
type KubeletConfig struct {
	// CPUCFSQuota says whether the CPU limits of containers are enforced.
	// +optional
	CPUCFSQuota *bool `json:"cpuCFSQuota,omitempty"`
	// CPUCFSQuotaPeriod is the period of those limits, 1ms to 1s, e.g. 100ms.
	// +optional
	CPUCFSQuotaPeriod string `json:"cpuCFSQuotaPeriod,omitempty"`
	// ImageGCHighThreshold is the share of the disk, in percent, from which images
	// are removed; ImageGCLowThreshold the one that they are removed down to.
	// +optional
	ImageGCHighThreshold *int32 `json:"imageGCHighThreshold,omitempty"`
	// +optional
	ImageGCLowThreshold *int32 `json:"imageGCLowThreshold,omitempty"`
	// TopologyManagerPolicy is none, best-effort, restricted or single-numa-node.
	// +optional
	TopologyManagerPolicy string `json:"topologyManagerPolicy,omitempty"`
	// AllowedUnsafeSysctls are the kernel settings that pods may ask for; one may
	// end in *.
	// +listType=atomic
	// +optional
	AllowedUnsafeSysctls []string `json:"allowedUnsafeSysctls,omitempty"`
	// ContainerLogMaxSizeMB is the size in MB at which a container's log is rotated.
	// +optional
	ContainerLogMaxSizeMB *int32 `json:"containerLogMaxSizeMB,omitempty"`
	// ContainerLogMaxFiles is how many files of a container's log are kept.
	// +optional
	ContainerLogMaxFiles *int32 `json:"containerLogMaxFiles,omitempty"`
	// PodMaxPIDs is the most processes of a pod; -1 is no limit.
	// +optional
	PodMaxPIDs *int32 `json:"podMaxPIDs,omitempty"`
}
