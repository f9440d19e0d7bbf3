// Command disk-plugin is the node's half of the driver of disks: it speaks the
// container storage interface with the kubelet. Disks are made, grown and mounted
// in the machine by the host, which alone may do so; this program binds them to
// where pods see them. It is built in a module of its own (the .mod file beside it).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// driverName is the name under which AKS has its disks.
const driverName = "disk.csi.azure.com"

// most is how many disks a node takes. It is far from what a host can mount,
// and what a large size of AKS takes.
const most = 64

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	p := plugin{log: log}
	flag.StringVar(&p.node, "node", "", "name of this node")
	flag.StringVar(&p.disks, "disks", "/var/lib/berth/disks", "directory below which the host mounts disks")
	kubelet := flag.String("kubelet", "/var/lib/kubelet", "directory of the kubelet")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := p.serve(ctx, *kubelet); err != nil {
		log.Error("the disk plugin ended", "error", err)
		os.Exit(1)
	}
}

// plugin answers for one node. It keeps nothing: what is mounted says where
// things stand, so it may die at any moment.
type plugin struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer

	log *slog.Logger
	// node is the node's name, disks where the host mounts.
	node, disks string
	// endpoint is the socket that the kubelet is told.
	endpoint string
}

// serve listens for the kubelet: on a socket of the driver, and on one by
// which the kubelet finds it.
func (p *plugin) serve(ctx context.Context, kubelet string) error {
	if p.node == "" {
		return errors.New("no name of the node: want -node")
	}
	unix.Umask(0o077) // of the sockets
	p.endpoint = filepath.Join(kubelet, "plugins", driverName, "csi.sock")
	driver := grpc.NewServer()
	csi.RegisterIdentityServer(driver, p)
	csi.RegisterNodeServer(driver, p)
	finder := grpc.NewServer()
	ended := make(chan error, 3)
	registration.RegisterRegistrationServer(finder, finding{plugin: p, failed: ended})
	for _, server := range []struct {
		server *grpc.Server
		socket string
	}{
		{driver, p.endpoint},
		{finder, filepath.Join(kubelet, "plugins_registry", driverName+"-reg.sock")},
	} {
		listener, err := listen(server.socket)
		if err != nil {
			return err
		}
		go func() { ended <- server.server.Serve(listener) }()
		defer server.server.Stop()
	}
	p.log.Info("serving", "driver", driverName, "node", p.node)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// listen opens a socket that only root may use, in place of one of a former run.
func listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

// finding tells the kubelet where the driver is.
type finding struct {
	registration.UnimplementedRegistrationServer

	plugin *plugin
	// failed ends the program: the kubelet tries once more when it starts anew.
	failed chan<- error
}

func (f finding) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: driverName, Endpoint: f.plugin.endpoint, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (f finding) NotifyRegistrationStatus(_ context.Context, r *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !r.PluginRegistered {
		select {
		case f.failed <- fmt.Errorf("the kubelet did not register the driver: %s", r.Error):
		default:
		}
	}
	return &registration.RegistrationStatusResponse{}, nil
}

func (p *plugin) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driverName, VendorVersion: "1.0.0"}, nil
}

func (p *plugin) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (p *plugin) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (p *plugin) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: p.node, MaxVolumesPerNode: most}, nil
}

func (p *plugin) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	var capabilities []*csi.NodeServiceCapability
	for _, kind := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME, csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		capabilities = append(capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: kind}},
		})
	}
	return &csi.NodeGetCapabilitiesResponse{Capabilities: capabilities}, nil
}

// NodePublishVolume binds a disk to where the kubelet wants it. A disk that the
// host has not mounted yet, after a restart of the machine above all, is asked for again.
func (p *plugin) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if r.GetVolumeCapability().GetMount() == nil {
		return nil, status.Error(codes.InvalidArgument, "only volumes with a file system are built, no block devices")
	}
	source, err := p.mounted(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	target := r.GetTargetPath()
	if err := os.MkdirAll(target, 0o750); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if there, err := mountPoint(target); err != nil || there {
		return &csi.NodePublishVolumeResponse{}, internal(err)
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return nil, status.Errorf(codes.Internal, "binding %s to %s: %v", source, target, err)
	}
	if r.GetReadonly() {
		if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
			return nil, errors.Join(status.Errorf(codes.Internal, "making %s read-only: %v", target, err), unix.Unmount(target, unix.UMOUNT_NOFOLLOW))
		}
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// NodeUnpublishVolume takes it away again.
func (p *plugin) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	target := r.GetTargetPath()
	if target == "" {
		return nil, status.Error(codes.InvalidArgument, "no target path")
	}
	there, err := mountPoint(target)
	if err != nil {
		return nil, internal(err)
	}
	if there {
		if err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW); err != nil {
			return nil, status.Errorf(codes.Internal, "unmounting %s: %v", target, err)
		}
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Errorf(codes.Internal, "removing %s: %v", target, err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeExpandVolume says when the host has grown the disk: it does so before the
// volume says its new size.
func (p *plugin) NodeExpandVolume(_ context.Context, r *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	source, err := p.mounted(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	var found unix.Statfs_t
	if err := unix.Statfs(source, &found); err != nil {
		return nil, internal(err)
	}
	// The file system's own tables take a part.
	size, wanted := int64(found.Blocks)*found.Bsize, r.GetCapacityRange().GetRequiredBytes()
	if size < wanted-wanted/8 {
		return nil, status.Errorf(codes.Unavailable, "disk %s has %d bytes and is to have %d: waiting for the host to grow it", r.GetVolumeId(), size, wanted)
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: max(size, wanted)}, nil
}

// NodeGetVolumeStats says how full a volume is.
func (p *plugin) NodeGetVolumeStats(_ context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	var found unix.Statfs_t
	if err := unix.Statfs(r.GetVolumePath(), &found); err != nil {
		return nil, status.Errorf(codes.NotFound, "looking at %s: %v", r.GetVolumePath(), err)
	}
	size, free, available := int64(found.Blocks)*found.Bsize, int64(found.Bfree)*found.Bsize, int64(found.Bavail)*found.Bsize
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{Unit: csi.VolumeUsage_BYTES, Total: size, Available: available, Used: size - free},
		{Unit: csi.VolumeUsage_INODES, Total: int64(found.Files), Available: int64(found.Ffree), Used: int64(found.Files - found.Ffree)},
	}}, nil
}

// mounted is where the host has mounted a disk; Unavailable while it has not.
func (p *plugin) mounted(id string) (string, error) {
	if !regexp.MustCompile(`^[a-z][a-z0-9]{9}$`).MatchString(id) {
		return "", status.Errorf(codes.NotFound, "%q is not a disk of this service", id)
	}
	path := filepath.Join(p.disks, id)
	there, err := mountPoint(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", internal(err)
	}
	if !there {
		return "", status.Errorf(codes.Unavailable, "disk %s is not in this node yet: waiting for the host to bring it", id)
	}
	return path, nil
}

// mountPoint says whether another file system lies on a directory.
func mountPoint(path string) (bool, error) {
	var own, parent unix.Stat_t
	if err := unix.Lstat(path, &own); err != nil {
		return false, fmt.Errorf("looking at %s: %w", path, err)
	}
	if err := unix.Lstat(filepath.Dir(path), &parent); err != nil {
		return false, fmt.Errorf("looking at %s: %w", filepath.Dir(path), err)
	}
	return own.Dev != parent.Dev, nil
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.Internal, err.Error())
}
