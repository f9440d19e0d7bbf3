package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of the kinds in this package.
func SchemeGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "containerservice.berth.dev", Version: "v1alpha1"}
}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion(),
		&ManagedCluster{}, &ManagedClusterList{},
		&AgentPool{}, &AgentPoolList{},
		&Machine{}, &MachineList{},
		&ControlPlane{}, &ControlPlaneList{},
		&ClusterCommand{}, &ClusterCommandList{},
		&MaintenanceConfiguration{}, &MaintenanceConfigurationList{},
		&Backup{}, &BackupList{},
		&BackupSchedule{}, &BackupScheduleList{},
		&Disk{}, &DiskList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion())
	return nil
}
