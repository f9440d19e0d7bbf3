package validation

import (
	"fmt"
	"math"
)

// Pool checks the rules of an agent pool below a path of the body:
// "properties." or "properties.agentPoolProfiles[0].".
func Pool(v Values, below, name string) {
	checkAutoscaling(v, below)
	checkSpot(v, below)
	checkSystem(v, below, name)
	checkPoolNetwork(v, below)
	if v.filled(below+"availabilityZones") && v.filled(below+"type") {
		v.needs(below+"availabilityZones", !v.is(below+"type", "AvailabilitySet"), "availabilityZones and the type AvailabilitySet exclude each other.", below+"type")
	}
	if v.is(below+"scaleDownMode", "Deallocate") && v.is(below+"osDiskType", "Ephemeral") {
		v.wrong(below+"scaleDownMode", "The scaleDownMode Deallocate keeps the disks of nodes, which osDiskType Ephemeral does not: set it to Managed.", below+"osDiskType")
	}
	if v.filled(below+"messageOfTheDay") && v.is(below+"osType", "Windows") {
		v.wrong(below+"messageOfTheDay", "Windows nodes have no messageOfTheDay.", below+"osType")
	}
	if v.is(below+"workloadRuntime", "WasmWasi") && v.is(below+"osType", "Windows") {
		v.wrong(below+"workloadRuntime", "Windows nodes run no WasmWasi.", below+"osType")
	}
}

func checkAutoscaling(v Values, below string) {
	scaling, least, most := below+"enableAutoScaling", below+"minCount", below+"maxCount"
	low, hasLow := v.number(least)
	high, hasHigh := v.number(most)
	if !v.on(scaling) {
		if hasLow && low != 0 && v.Sent(least) {
			v.wrong(least, "minCount goes with enableAutoScaling.")
		}
		if hasHigh && high != 0 && v.Sent(most) {
			v.wrong(most, "maxCount goes with enableAutoScaling.")
		}
		return
	}
	switch {
	case !hasLow || !hasHigh:
		v.wrong(scaling, "enableAutoScaling needs minCount and maxCount.", least, most)
	case low > high:
		v.wrong(least, fmt.Sprintf("The minCount %v is above the maxCount %v.", low, high), most, scaling)
	case v.is(below+"mode", "System") && low < 1:
		v.wrong(least, "A pool of mode System keeps at least one node: set minCount to 1 or more.", below+"mode", scaling)
	default:
		if count, has := v.number(below + "count"); has && v.Sent(below+"count") && (count < low || count > high) {
			v.wrong(below+"count", fmt.Sprintf("The count %v is not between minCount %v and maxCount %v.", count, low, high))
		}
	}
}

func checkSpot(v Values, below string) {
	spot := v.is(below+"scaleSetPriority", "Spot")
	if v.is(below+"scaleSetEvictionPolicy", "Deallocate") && !spot {
		v.wrong(below+"scaleSetEvictionPolicy", "scaleSetEvictionPolicy goes with the scaleSetPriority Spot.", below+"scaleSetPriority")
	}
	price, has := v.number(below + "spotMaxPrice")
	cents := price * 1e5
	switch {
	case !has || price == 0 || price == -1:
	case price < 0 || math.Abs(cents-math.Round(cents)) > 1e-6:
		v.wrong(below+"spotMaxPrice", "The spotMaxPrice is -1, or more than 0 with at most five decimals.")
	case !spot:
		v.wrong(below+"spotMaxPrice", "spotMaxPrice goes with the scaleSetPriority Spot.", below+"scaleSetPriority")
	}
}

func checkSystem(v Values, below, name string) {
	windows := v.is(below+"osType", "Windows")
	if v.is(below+"mode", "System") {
		if windows {
			v.wrong(below+"osType", "A pool of mode System has Linux nodes.", below+"mode")
		}
		if v.is(below+"scaleSetPriority", "Spot") {
			v.wrong(below+"scaleSetPriority", "A pool of mode System has no Spot nodes.", below+"mode")
		}
	}
	if windows && len(name) > maxWindowsName {
		v.wrong(below+"osType", fmt.Sprintf("The name '%s' of a pool of Windows nodes has more than %d characters.", name, maxWindowsName))
	}
}

// maxWindowsName is the longest name of a pool of Windows nodes, whose own
// names Windows limits to 15 characters.
const maxWindowsName = 6

func checkPoolNetwork(v Values, below string) {
	if v.filled(below + "nodePublicIPPrefixID") {
		v.needs(below+"nodePublicIPPrefixID", v.on(below+"enableNodePublicIP"), "nodePublicIPPrefixID needs enableNodePublicIP.", below+"enableNodePublicIP")
	}
	if v.filled(below + "podSubnetID") {
		v.needs(below+"podSubnetID", v.filled(below+"vnetSubnetID"), "podSubnetID needs vnetSubnetID, in the same virtual network.", below+"vnetSubnetID")
	}
	ports := below + "networkProfile.allowedHostPorts"
	for i, entry := range v.list(ports) {
		object, _ := entry.(map[string]any)
		read := Values{Get: func(path string) any { return object[path] }}
		start, hasStart := read.number("portStart")
		end, hasEnd := read.number("portEnd")
		if v.Sent(ports) && (!hasStart || !hasEnd || start > end) {
			v.Fields.Invalid(fmt.Sprintf("%s[%d]", v.At(ports), i), "An entry of allowedHostPorts has a portStart and a portEnd that is not below it.")
		}
	}
}
