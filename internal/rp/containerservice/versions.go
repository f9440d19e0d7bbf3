package containerservice

import "berth.dev/berth/internal/arm"

// apiVersions are the published api-versions of managed clusters, from
// 2017-08-31 to 2026-07-01, oldest first.
func apiVersions() []string {
	return []string{
		"2017-08-31", "2018-03-31", "2018-08-01-preview", "2019-02-01", "2019-04-01", "2019-06-01", "2019-08-01", "2019-10-01", "2019-11-01",
		"2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-06-01", "2020-07-01", "2020-09-01", "2020-11-01", "2020-12-01",
		"2021-02-01", "2021-03-01", "2021-05-01", "2021-07-01", "2021-08-01", "2021-09-01", "2021-10-01", "2021-11-01-preview",
		"2022-01-01", "2022-01-02-preview", "2022-02-01", "2022-02-02-preview", "2022-03-01", "2022-03-02-preview", "2022-04-01", "2022-04-02-preview",
		"2022-05-02-preview", "2022-06-01", "2022-06-02-preview", "2022-07-01", "2022-07-02-preview", "2022-08-01", "2022-08-02-preview",
		"2022-08-03-preview", "2022-09-01", "2022-09-02-preview", "2022-10-02-preview", "2022-11-01", "2022-11-02-preview",
		"2023-01-01", "2023-01-02-preview", "2023-02-01", "2023-02-02-preview", "2023-03-01", "2023-03-02-preview", "2023-04-01", "2023-04-02-preview",
		"2023-05-01", "2023-05-02-preview", "2023-06-01", "2023-06-02-preview", "2023-07-01", "2023-07-02-preview", "2023-08-01", "2023-08-02-preview",
		"2023-09-01", "2023-09-02-preview", "2023-10-01", "2023-10-02-preview", "2023-11-01", "2023-11-02-preview",
		"2024-01-01", "2024-01-02-preview", "2024-02-01", "2024-02-02-preview", "2024-03-02-preview", "2024-04-02-preview", "2024-05-01",
		"2024-05-02-preview", "2024-06-02-preview", "2024-07-01", "2024-07-02-preview", "2024-08-01", "2024-09-01", "2024-09-02-preview",
		"2024-10-01", "2024-10-02-preview",
		"2025-01-01", "2025-01-02-preview", "2025-02-01", "2025-02-02-preview", "2025-03-01", "2025-03-02-preview", "2025-04-01", "2025-04-02-preview",
		"2025-05-01", "2025-05-02-preview", "2025-06-02-preview", "2025-07-01", "2025-07-02-preview", "2025-08-01", "2025-08-02-preview",
		"2025-09-01", "2025-09-02-preview", "2025-10-01", "2025-10-02-preview",
		"2026-01-01", "2026-01-02-preview", "2026-02-01", "2026-02-02-preview", "2026-03-01", "2026-03-02-preview", "2026-04-01", "2026-04-02-preview",
		"2026-07-01",
	}
}

// firstETagVersion is the first api-version whose bodies have eTag.
const firstETagVersion = "2024-09-01"

// firstModeVersion is the first api-version whose pools have a mode (that of
// the models of azure-mgmt-containerservice 21.1.0), and
// firstBaseVersion the first that calls the SKU Base and the paid tier Standard
// (the page of AKS on pricing tiers).
const (
	firstModeVersion = "2020-03-01"
	firstBaseVersion = "2023-02-01"
)

// defaultMode is the mode of a new pool that names none. Where an api-version
// has no modes, every pool may run the cluster's own pods.
func defaultMode(apiVersion string) string {
	if apiVersion < firstModeVersion {
		return "System"
	}
	return "User"
}

// spellSKU gives the words of a SKU the names of the request's api-version.
func spellSKU(r *arm.Request, sku object) {
	names, tiers := map[any]string{"Basic": "Base"}, map[any]string{"Paid": "Standard"}
	if r.APIVersion < firstBaseVersion {
		names, tiers = map[any]string{"Base": "Basic"}, map[any]string{"Standard": "Paid"}
	}
	if name, other := names[sku["name"]]; other {
		sku["name"] = name
	}
	if tier, other := tiers[sku["tier"]]; other {
		sku["tier"] = tier
	}
}

// operationVersion is the api-version in the poll URLs of operations.
const operationVersion = "2016-03-30"
