package activity

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/history"
)

// administrative is the only category of events.
const administrative = "Administrative"

// The statuses of a begin; an end has the operation's.
const (
	statusStarted  = "Started"
	statusAccepted = "Accepted" // it waits for what stands in its way
)

// localized is a name with what people call it.
type localized struct {
	Value          string `json:"value"`
	LocalizedValue string `json:"localizedValue"`
}

func same(value string) localized { return localized{value, value} }

// statusOf is how an operation stood at a moment.
func statusOf(m history.Moment) string {
	switch {
	case m.End:
		return string(m.Record.Status)
	case m.Record.Status == "":
		return statusAccepted
	default:
		return statusStarted
	}
}

// event is a moment on the wire.
func (p *Provider) event(m history.Moment) map[string]any {
	record := m.Record
	id, _ := arm.ParseResourceID(record.ResourceID) // it is the service's own, and empty at worst
	eventID := uuid.NewSHA1(uuid.NameSpaceURL, []byte(m.Key())).String()
	name, level := localized{"BeginRequest", "Begin request"}, "Informational"
	if m.End {
		name = localized{"EndRequest", "End request"}
	}
	properties := map[string]string{
		"eventCategory": administrative, "entity": record.ResourceID, "message": actionOf(record), "verb": string(record.Verb),
	}
	if m.End && record.Failure != nil {
		level = "Error"
		if record.Status == meta.OperationCanceled {
			level = "Warning"
		}
		properties["statusCode"], properties["statusMessage"] = record.Failure.Code, record.Failure.Message
	}
	at := m.Time.UTC()
	return map[string]any{
		"caller": record.Caller, "channels": "Operation", "category": same(administrative),
		"correlationId": record.CorrelationID, "description": "", "eventDataId": eventID, "eventName": name,
		"eventTimestamp": at.Format(time.RFC3339Nano), "submissionTimestamp": at.Format(time.RFC3339Nano),
		"id":    fmt.Sprintf("%s/events/%s/ticks/%d", record.ResourceID, eventID, ticks(at)),
		"level": level, "operationId": record.ID, "operationName": localized{actionOf(record), wordsOf(record, id)},
		"properties": properties, "resourceGroupName": id.ResourceGroup, "resourceId": record.ResourceID,
		"resourceProviderName": same(providerOf(record)), "resourceType": same(id.Type()),
		"status": same(statusOf(m)), "subStatus": localized{}, "subscriptionId": id.SubscriptionID, "tenantId": p.TenantID,
	}
}

// ticks counts a time in tenths of a microsecond since the year 1, as the ids of events do.
func ticks(t time.Time) int64 {
	const untilUnix, perSecond = 62_135_596_800, 10_000_000
	return (t.Unix()+untilUnix)*perSecond + int64(t.Nanosecond())/100
}

// providerOf is the namespace of an operation's resource.
func providerOf(record history.Record) string {
	id, err := arm.ParseResourceID(record.ResourceID)
	if err != nil || id.Provider == "" {
		return "Microsoft.Resources"
	}
	return id.Provider
}

// actionOf names an operation as roles do.
func actionOf(record history.Record) string {
	id, err := arm.ParseResourceID(record.ResourceID)
	if err != nil {
		return string(record.Verb)
	}
	resourceType := id.Type()
	if id.Provider == "" {
		resourceType = "Microsoft.Resources/subscriptions/resourceGroups"
	}
	berth := strings.Replace(resourceType, "Microsoft.ContainerService/", "Berth.ContainerService/", 1)
	switch record.Verb {
	case meta.VerbDelete:
		return resourceType + "/delete"
	case meta.VerbStop, meta.VerbStart:
		if len(id.Types) > 1 {
			return resourceType + "/write" // AKS stops a pool by a PUT
		}
		return resourceType + "/" + strings.ToLower(string(record.Verb)) + "/action"
	case meta.VerbAbort:
		return resourceType + "/abort/action"
	case meta.VerbUpgradeNodeImage:
		return resourceType + "/upgradeNodeImageVersion/action"
	case meta.VerbDeleteMachines:
		return resourceType + "/deleteMachines/action"
	case meta.VerbRotateCertificates:
		return resourceType + "/rotateClusterCertificates/action"
	case meta.VerbRotateServiceAccountKeys:
		return resourceType + "/rotateServiceAccountSigningKeys/action"
	case meta.VerbRollback:
		return berth + "/rollback/action"
	case meta.VerbRotateEncryptionKey:
		return berth + "/rotateEncryptionKey/action"
	case meta.VerbRestore:
		return "Berth.ContainerService/backups/restore/action"
	default: // Create, Update, Scale, Upgrade
		return resourceType + "/write"
	}
}

// wordsOf says an operation for people: "Scale managedClusters/agentPools".
func wordsOf(record history.Record, id arm.ResourceID) string {
	what := "resourceGroups"
	if id.Provider != "" {
		what = strings.Join(id.Types, "/")
	}
	return string(record.Verb) + " " + what
}
