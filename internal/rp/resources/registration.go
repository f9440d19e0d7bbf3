package resources

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// canUnregister says whether a subscription can do without the namespace. What
// has no tracked resources belongs to ARM itself, and to every subscription.
func (n Namespace) canUnregister() bool { return n.List != nil }

// registrationState is whether a subscription uses a namespace. The tenant, of
// no subscription, can use them all.
func registrationState(namespace string, subscription *resourcesv1alpha1.Subscription) string {
	if subscription != nil && slices.Contains(subscription.Spec.Unregistered, strings.ToLower(namespace)) {
		return "Unregistered"
	}
	return "Registered"
}

// CheckRegistered refuses a write to a namespace that the subscription gave up.
// Clients find the namespace by the message's last quotes, register it and repeat.
func (p *Provider) CheckRegistered(ctx context.Context, subscriptionID, namespace string) error {
	subscription, err := p.subscription(ctx, subscriptionID)
	if err != nil || registrationState(namespace, subscription) == "Registered" {
		return err
	}
	e := arm.NewError(http.StatusConflict, "MissingSubscriptionRegistration",
		"The subscription is not registered for this resource provider; az provider register -n %s registers it. The subscription must be registered to use namespace '%s'.", namespace, namespace)
	e.Details = []arm.Detail{{Code: e.Code, Message: e.Message, Target: namespace}}
	return e
}

func (p *Provider) registerProvider(w http.ResponseWriter, r *arm.Request) error {
	return p.setRegistration(w, r, "register", func(Namespace) error { return nil })
}

// unregisterProvider lets a subscription do without a namespace of which it has
// no resources.
func (p *Provider) unregisterProvider(w http.ResponseWriter, r *arm.Request) error {
	return p.setRegistration(w, r, "unregister", func(n Namespace) error {
		if !n.canUnregister() {
			return arm.NewError(http.StatusConflict, "Conflict", "The resource provider '%s' is registered in every subscription and cannot be unregistered.", n.Name)
		}
		left, err := n.List(r.Context(), r.Param("subscriptionID"), "")
		if err != nil || len(left) == 0 {
			return err
		}
		return arm.NewError(http.StatusConflict, "Conflict",
			"The resource provider '%s' cannot be unregistered: the subscription has %d resources of it, the first of them '%s'. Delete them first.", n.Name, len(left), left[0].ID)
	})
}

// setRegistration does the verb and answers with the namespace, which is at
// once in its new state.
func (p *Provider) setRegistration(w http.ResponseWriter, r *arm.Request, verb string, admit func(Namespace) error) error {
	return p.withNamespace(r, func(n Namespace, _ *resourcesv1alpha1.Subscription) error {
		access, err := p.Tokens.Access(r.Context(), r.Principal)
		if err != nil {
			return err
		}
		if err := access.Check(n.Name+"/"+verb+"/action", "/subscriptions/"+r.Param("subscriptionID")); err != nil {
			return err
		}
		if err := admit(n); err != nil {
			return err
		}
		subscription, err := p.changeSubscription(r, func(spec *resourcesv1alpha1.SubscriptionSpec) {
			name := strings.ToLower(n.Name)
			spec.Unregistered = slices.DeleteFunc(spec.Unregistered, func(other string) bool { return other == name })
			if verb == "unregister" {
				spec.Unregistered = append(spec.Unregistered, name)
			}
		})
		if err != nil {
			return err
		}
		return arm.WriteJSON(w, http.StatusOK, p.namespaceBody(n, subscription))
	})
}

// changeSubscription changes the subscription of the path; what leaves it as it
// was writes nothing.
func (p *Provider) changeSubscription(r *arm.Request, change func(*resourcesv1alpha1.SubscriptionSpec)) (*resourcesv1alpha1.Subscription, error) {
	var changed *resourcesv1alpha1.Subscription
	err := RetryConflicts(func() error {
		subscription, err := p.subscription(r.Context(), r.Param("subscriptionID"))
		if err != nil {
			return err
		}
		changed = subscription.DeepCopy()
		change(&changed.Spec)
		if equality.Semantic.DeepEqual(subscription.Spec, changed.Spec) {
			return nil
		}
		return p.Client.Update(r.Context(), changed)
	})
	return changed, err
}
