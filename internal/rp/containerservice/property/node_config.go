package property

import "berth.dev/berth/internal/arm"

// The notes of settings that a machine of the sandbox cannot have: it shares its
// host's kernel.
const (
	hostsKernel = "it is one setting of the whole kernel, which machines of the sandbox share with their host: it needs machines with a kernel of their own, of the providers vm or host"
	hostsSwap   = "machines of the sandbox have the swap of their host: it needs a machine of the providers vm or host"
	hostsCPUs   = "machines of the sandbox share the processors of their host: exclusive ones need a machine of the providers vm or host"
)

// kubeletProperties are the settings of the nodes' kubelets, below a path.
func kubeletProperties(p string) []arm.Property {
	return []arm.Property{
		acts(p, arm.Object),
		acts(p+".cpuCfsQuota", arm.Boolean), acts(p+".cpuCfsQuotaPeriod", arm.String),
		acts(p+".imageGcHighThreshold", arm.Integer).Between(0, 100), acts(p+".imageGcLowThreshold", arm.Integer).Between(0, 100),
		acts(p+".topologyManagerPolicy", arm.String).OneOf("none", "best-effort", "restricted", "single-numa-node"),
		acts(p+".allowedUnsafeSysctls", arm.Array), acts(p+".allowedUnsafeSysctls[]", arm.String),
		acts(p+".containerLogMaxSizeMB", arm.Integer).Between(1, 100_000),
		acts(p+".containerLogMaxFiles", arm.Integer).Between(2, 10_000),
		acts(p+".podMaxPids", arm.Integer),
		inertOnly(p+".cpuManagerPolicy", arm.String, hostsCPUs, "none").OneOf("none", "static"),
		inertOnly(p+".failSwapOn", arm.Boolean, hostsSwap, false),
	}
}

// systemProperties are the settings of the nodes' operating system, below a path.
func systemProperties(p string) []arm.Property {
	s := p + ".sysctls."
	return []arm.Property{
		acts(p, arm.Object),
		refused(p+".swapFileSizeMB", arm.Integer, hostsSwap),
		refused(p+".transparentHugePageEnabled", arm.String, hostsKernel).OneOf("always", "madvise", "never"),
		refused(p+".transparentHugePageDefrag", arm.String, hostsKernel).OneOf("always", "defer", "defer+madvise", "madvise", "never"),
		acts(p+".sysctls", arm.Object),
		acts(s+"netCoreSomaxconn", arm.Integer).Between(4096, 3_240_000),
		acts(s+"netIpv4TcpMaxSynBacklog", arm.Integer).Between(128, 3_240_000),
		acts(s+"netIpv4TcpMaxTwBuckets", arm.Integer).Between(8000, 1_440_000),
		acts(s+"netIpv4TcpFinTimeout", arm.Integer).Between(5, 120),
		acts(s+"netIpv4TcpKeepaliveTime", arm.Integer).Between(30, 432_000),
		acts(s+"netIpv4TcpKeepaliveProbes", arm.Integer).Between(1, 15),
		acts(s+"netIpv4TcpkeepaliveIntvl", arm.Integer).Between(10, 90),
		acts(s+"netIpv4TcpTwReuse", arm.Boolean),
		acts(s+"netIpv4IpLocalPortRange", arm.String),
		refused(s+"netCoreNetdevMaxBacklog", arm.Integer, hostsKernel).Between(1000, 3_240_000),
		refused(s+"netCoreOptmemMax", arm.Integer, hostsKernel).Between(20_480, 4_194_304),
		refused(s+"netCoreRmemDefault", arm.Integer, hostsKernel).Between(212_992, 134_217_728),
		refused(s+"netCoreRmemMax", arm.Integer, hostsKernel).Between(212_992, 134_217_728),
		refused(s+"netCoreWmemDefault", arm.Integer, hostsKernel).Between(212_992, 134_217_728),
		refused(s+"netCoreWmemMax", arm.Integer, hostsKernel).Between(212_992, 134_217_728),
		refused(s+"netIpv4NeighDefaultGcThresh1", arm.Integer, hostsKernel).Between(128, 80_000),
		refused(s+"netIpv4NeighDefaultGcThresh2", arm.Integer, hostsKernel).Between(512, 90_000),
		refused(s+"netIpv4NeighDefaultGcThresh3", arm.Integer, hostsKernel).Between(1024, 100_000),
		refused(s+"netNetfilterNfConntrackMax", arm.Integer, hostsKernel).Between(131_072, 2_097_152),
		refused(s+"netNetfilterNfConntrackBuckets", arm.Integer, hostsKernel).Between(65_536, 524_288),
		refused(s+"fsAioMaxNr", arm.Integer, hostsKernel).Between(65_536, 6_553_500),
		refused(s+"fsFileMax", arm.Integer, hostsKernel).Between(8192, 12_000_500),
		refused(s+"fsInotifyMaxUserWatches", arm.Integer, hostsKernel).Between(781_250, 2_097_152),
		refused(s+"fsNrOpen", arm.Integer, hostsKernel).Between(8192, 20_000_500),
		refused(s+"kernelThreadsMax", arm.Integer, hostsKernel).Between(20, 513_785),
		refused(s+"vmMaxMapCount", arm.Integer, hostsKernel).Between(65_530, 262_144),
		refused(s+"vmSwappiness", arm.Integer, hostsKernel).Between(0, 100),
		refused(s+"vmVfsCachePressure", arm.Integer, hostsKernel).Between(1, 100),
	}
}
