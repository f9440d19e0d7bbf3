package identity

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// snapshotLifetime is how long role assignments are believed once they were
// read. It bounds how long a change made through another front end takes to
// act here, the time of one read added; one made through this front end acts at once.
const snapshotLifetime = 2 * time.Second

// snapshotTimeout bounds one read.
const snapshotTimeout = 5 * time.Second

// snapshot is all role assignments and custom roles at one time. Reading them
// for each request would make each request as slow as there are assignments.
// A read that fails fails the request: what is too old is never used.
type snapshot struct {
	read   time.Time
	grants map[string][]grant // by lower-case principal id
}

// snapshots keeps the newest snapshot.
type snapshots struct {
	mu         sync.Mutex
	current    *snapshot
	generation int // counts Forget, so that no read from before it is kept
	reads      singleflight.Group
}

// Access is what a principal may do, by its role assignments.
func (s *Service) Access(ctx context.Context, principal arm.Principal) (Access, error) {
	current, err := s.snapshot(ctx)
	if err != nil {
		return Access{}, err
	}
	return Access{principal: principal, grants: current.grants[strings.ToLower(principal.ObjectID)]}, nil
}

// ForgetAccess makes the next request read the role assignments anew. Whoever
// changes an assignment or a role calls it.
func (s *Service) ForgetAccess() {
	s.snapshots.mu.Lock()
	defer s.snapshots.mu.Unlock()
	s.snapshots.current = nil
	s.snapshots.generation++
}

func (s *Service) snapshot(ctx context.Context) (*snapshot, error) {
	s.snapshots.mu.Lock()
	current, generation := s.snapshots.current, s.snapshots.generation
	s.snapshots.mu.Unlock()
	if current != nil {
		if age := s.options.Now().Sub(current.read); age >= 0 && age < snapshotLifetime {
			return current, nil
		}
	}
	// Requests that come while one reads share what it reads, unless a change
	// was made since it began.
	result := s.snapshots.reads.DoChan(strconv.Itoa(generation), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), snapshotTimeout)
		defer cancel()
		fresh, err := s.readSnapshot(ctx)
		if err != nil {
			return nil, err
		}
		s.snapshots.mu.Lock()
		defer s.snapshots.mu.Unlock()
		if s.snapshots.generation == generation {
			s.snapshots.current = fresh
		}
		return fresh, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*snapshot), nil
	}
}

func (s *Service) readSnapshot(ctx context.Context) (*snapshot, error) {
	read := s.options.Now()
	grants, err := readGrants(ctx, s.options.Client)
	return &snapshot{read: read, grants: grants}, err
}

// readGrants are the roles of every principal, by its id in lower case.
func readGrants(ctx context.Context, reader client.Reader) (map[string][]grant, error) {
	grants := map[string][]grant{}
	roles, err := readRoles(ctx, reader)
	if err != nil {
		return nil, err
	}
	var list authorizationv1alpha1.RoleAssignmentList
	if err := reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("reading role assignments: %w", err)
	}
	for _, assignment := range list.Items {
		role, known := roles[RoleGUID(assignment.Spec.RoleDefinitionID)]
		if !known || !role.AssignableAt(assignment.Spec.Scope) {
			continue
		}
		principal := strings.ToLower(assignment.Spec.PrincipalID)
		grants[principal] = append(grants[principal], grant{normalScope(assignment.Spec.Scope), role})
	}
	return grants, nil
}

// Permissions says what principals may do, by the role assignments as they are.
// It is for controllers, which ask seldom; requests ask a Service.
type Permissions struct {
	// Reader reads the management API.
	Reader client.Reader
}

// Allows says whether a principal may do an action on a scope.
func (p Permissions) Allows(ctx context.Context, principalID, action, scope string) (bool, error) {
	grants, err := readGrants(ctx, p.Reader)
	if err != nil {
		return false, err
	}
	return Access{grants: grants[strings.ToLower(principalID)]}.Allows(action, scope), nil
}

// Roles are all roles, built-in and custom, by GUID.
func (s *Service) Roles(ctx context.Context) (map[string]RoleDefinition, error) {
	return readRoles(ctx, s.options.Client)
}

func readRoles(ctx context.Context, reader client.Reader) (map[string]RoleDefinition, error) {
	var list authorizationv1alpha1.RoleDefinitionList
	if err := reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("reading role definitions: %w", err)
	}
	roles := map[string]RoleDefinition{}
	for i := range list.Items {
		roles[strings.ToLower(list.Items[i].Name)] = NewRoleDefinition(&list.Items[i])
	}
	for _, role := range RoleDefinitions() { // after the custom ones: none can pose as a built-in role
		roles[role.ID] = role
	}
	return roles, nil
}

// RoleGUID is the GUID in a role's id, in lower case.
func RoleGUID(id string) string { return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:]) }
