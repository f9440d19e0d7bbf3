package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGettingAPageFailsUnlessItsStatusIsGood(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	if err := run(t.Context(), time.Minute, []string{"get", server.URL}); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), time.Minute, []string{"get", server.URL + "/missing"}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing page gave %v", err)
	}
}

func TestConnectingFailsWhereNothingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := run(t.Context(), time.Minute, []string{"connect", address}); err != nil {
		t.Error(err)
	}
	listener.Close()
	if err := run(t.Context(), time.Minute, []string{"connect", address}); err == nil {
		t.Error("connected to a closed port")
	}
}

func TestSleepingEndsWhenItIsToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- run(ctx, time.Nanosecond, []string{"sleep"}) }()
	select {
	case err := <-ended:
		t.Fatalf("it ended by itself: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnUnknownCommandShowsTheUsage(t *testing.T) {
	for _, arguments := range [][]string{nil, {"get"}, {"dance", "now"}} {
		if err := run(t.Context(), time.Minute, arguments); err == nil || !strings.Contains(err.Error(), "usage:") {
			t.Errorf("%q gave %v", arguments, err)
		}
	}
}
