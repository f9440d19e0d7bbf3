package backupschedule

import (
	"slices"
	"strings"
	"time"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/schedule"
)

// sorted are the backups of a schedule that are not being deleted, by what came
// of them, the latest due first.
type sorted struct {
	good, failed []*v1alpha1.Backup
}

// sort sorts the backups of a schedule. One that is still being taken is
// neither: nothing is deleted on account of it.
func sort(backups []v1alpha1.Backup) sorted {
	var result sorted
	for i := range backups {
		b := &backups[i]
		switch {
		case b.DeletionTimestamp != nil || b.Spec.Due == nil:
		case b.DeriveProvisioningState() == v1alpha1.StateSucceeded:
			result.good = append(result.good, b)
		case b.Status.Failure != nil:
			result.failed = append(result.failed, b)
		}
	}
	latest := func(a, b *v1alpha1.Backup) int {
		if c := b.Spec.Due.Compare(a.Spec.Due.Time); c != 0 {
			return c
		}
		return strings.Compare(b.Name, a.Name)
	}
	slices.SortFunc(result.good, latest)
	slices.SortFunc(result.failed, latest)
	return result
}

// surplus is what the schedule no longer keeps: good backups beyond its count or
// its age but for the latest, and failed ones but for the latest, which tells
// why as long as no good one followed it. expires is when the next good one will
// be too old, the zero time if none will.
func (s sorted) surplus(spec v1alpha1.BackupScheduleSpec, now time.Time) (surplus []*v1alpha1.Backup, expires time.Time) {
	for i, b := range s.good {
		age := time.Time{}
		if spec.KeepDays > 0 {
			age = b.Spec.Due.AddDate(0, 0, int(spec.KeepDays))
		}
		switch {
		case i == 0:
		case i >= int(spec.KeepCount) || !age.IsZero() && !now.Before(age):
			surplus = append(surplus, b)
		default:
			expires = schedule.Earlier(expires, age)
		}
	}
	last := s.lastFailed()
	for _, b := range s.failed {
		if b != last {
			surplus = append(surplus, b)
		}
	}
	return surplus, expires
}

// lastFailed is the latest backup if it failed, nil if a good one came after it.
func (s sorted) lastFailed() *v1alpha1.Backup {
	if len(s.failed) == 0 || len(s.good) > 0 && s.good[0].Spec.Due.After(s.failed[0].Spec.Due.Time) {
		return nil
	}
	return s.failed[0]
}
