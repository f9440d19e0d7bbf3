package agent

import (
	"fmt"
	"maps"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
)

// kubeletSettings are a pool's settings as fields of a KubeletConfiguration.
func kubeletSettings(config *containerservice.KubeletConfig) map[string]any {
	settings := map[string]any{}
	if config == nil {
		return settings
	}
	if config.CPUCFSQuota != nil {
		settings["cpuCFSQuota"] = *config.CPUCFSQuota
	}
	if config.CPUCFSQuotaPeriod != "" {
		settings["cpuCFSQuotaPeriod"] = config.CPUCFSQuotaPeriod
	}
	if config.TopologyManagerPolicy != "" {
		settings["topologyManagerPolicy"] = config.TopologyManagerPolicy
	}
	if len(config.AllowedUnsafeSysctls) > 0 {
		settings["allowedUnsafeSysctls"] = config.AllowedUnsafeSysctls
	}
	if config.ContainerLogMaxSizeMB != nil {
		settings["containerLogMaxSize"] = fmt.Sprintf("%dM", *config.ContainerLogMaxSizeMB)
	}
	numbers := map[string]*int32{
		"imageGCHighThresholdPercent": config.ImageGCHighThreshold, "imageGCLowThresholdPercent": config.ImageGCLowThreshold,
		"containerLogMaxFiles": config.ContainerLogMaxFiles, "podPidsLimit": config.PodMaxPIDs,
	}
	maps.DeleteFunc(numbers, func(_ string, value *int32) bool { return value == nil })
	for field, value := range numbers {
		settings[field] = *value
	}
	return settings
}
