package property

import "berth.dev/berth/internal/arm"

// autoscalerProperties are those of the profile of the cluster autoscaler; all
// are texts but three. The defaults are those of the API, and accepted.
func autoscalerProperties(path string) []arm.Property {
	const why = "the cluster autoscaler is not built"
	a := path + "."
	duration := func(name string, neutral ...any) arm.Property {
		return inertOnly(a+name, arm.String, why, neutral...).Like(`^[0-9]{1,6}(s|m|h)$`, "a number of seconds, minutes or hours, such as 10m")
	}
	number := func(name string, neutral ...any) arm.Property {
		return inertOnly(a+name, arm.String, why, neutral...).Like(`^[0-9]{1,9}$`, "a whole number as a text")
	}
	truth := func(name string, neutral ...any) arm.Property {
		return inertOnly(a+name, arm.String, why, neutral...).OneOf("true", "false")
	}
	return []arm.Property{
		acts(path, arm.Object),
		inertOnly(a+"scan-interval", arm.String, why, "10", "10s").Like(`^[0-9]{1,6}s?$`, "a number of seconds, such as 10s"),
		number("max-graceful-termination-sec", "600"), number("max-empty-bulk-delete", "10"), number("ok-total-unready-count", "3"),
		inertOnly(a+"max-total-unready-percentage", arm.String, why, "45").Like(`^([0-9]|[1-9][0-9]|100)$`, "0 to 100 as a text"),
		inertOnly(a+"max-node-provision-time", arm.String, why, "15m").Like(`^[0-9]{1,6}m$`, "a number of minutes, such as 15m"),
		duration("new-pod-scale-up-delay", "0s"),
		inertOnly(a+"scale-down-delay-after-add", arm.String, why, "10m").Like(`^[0-9]{1,6}m$`, "a number of minutes, such as 10m"),
		duration("scale-down-delay-after-delete", "10s"),
		inertOnly(a+"scale-down-delay-after-failure", arm.String, why, "3m").Like(`^[0-9]{1,6}m$`, "a number of minutes, such as 3m"),
		inertOnly(a+"scale-down-unneeded-time", arm.String, why, "10m").Like(`^[0-9]{1,6}m$`, "a number of minutes, such as 10m"),
		inertOnly(a+"scale-down-unready-time", arm.String, why, "20m").Like(`^[0-9]{1,6}m$`, "a number of minutes, such as 20m"),
		inertOnly(a+"scale-down-utilization-threshold", arm.String, why, "0.5").Like(`^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$`, "0 to 1 as a text"),
		truth("skip-nodes-with-local-storage", "true"), truth("skip-nodes-with-system-pods", "true"), truth("balance-similar-node-groups", "false"),
		inertOnly(a+"expander", arm.String, why, "random").OneOf("random", "least-waste", "most-pods", "priority"),
		refused(a+"daemonset-eviction-for-empty-nodes", arm.Boolean, why),
		inertOnly(a+"daemonset-eviction-for-occupied-nodes", arm.Boolean, why, true, false),
		refused(a+"ignore-daemonsets-utilization", arm.Boolean, why),
	}
}

// upgradeProperties are those of upgrades.
func upgradeProperties(p string) []arm.Property {
	return []arm.Property{
		acts(p+"autoUpgradeProfile", arm.Object),
		only(p+"autoUpgradeProfile.upgradeChannel", arm.String, "not node-image: nodes get a new image on request only").OneOf("none", "patch", "stable", "rapid", "node-image"),
		only(p+"autoUpgradeProfile.nodeOSUpgradeChannel", arm.String,
			"None or NodeImage: the node image has no package updates of its own").OneOf("None", "Unmanaged", "NodeImage", "SecurityPatch"),
		acts(p+"upgradeSettings", arm.Object), acts(p+"upgradeSettings.overrideSettings", arm.Object),
		acts(p+"upgradeSettings.overrideSettings.forceUpgrade", arm.Boolean), acts(p+"upgradeSettings.overrideSettings.until", arm.String),
	}
}
