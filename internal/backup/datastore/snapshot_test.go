package datastore

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// store answers reads of a range, and refuses an answer that is too large.
type store struct {
	clientv3.KV
	kvs []*mvccpb.KeyValue
	max int
}

func (s store) Get(_ context.Context, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(key, options...)
	answer, size := &clientv3.GetResponse{}, 0
	for _, kv := range s.kvs {
		if bytes.Compare(kv.Key, op.KeyBytes()) < 0 {
			continue
		}
		if answer.More = int64(len(answer.Kvs)) == op.Limit(); answer.More {
			break
		}
		answer.Kvs = append(answer.Kvs, kv)
		size += len(kv.Value)
	}
	if size > s.max {
		return nil, status.Error(codes.ResourceExhausted, "received message larger than max")
	}
	return answer, nil
}

func TestLargeValuesBehindManySmallOnesAreReadInSmallerPages(t *testing.T) {
	s := store{max: 64 << 20}
	large := make([]byte, 1<<20)
	for i := range 1500 {
		kv := &mvccpb.KeyValue{Key: fmt.Appendf(nil, "/berth/x/%05d", i), Value: []byte("small")}
		if i >= 600 && i < 750 {
			kv.Value = large
		}
		s.kvs = append(s.kvs, kv)
	}
	read := Range{Client: &clientv3.Client{KV: s}, Prefix: "/berth/x"}.pages(0)
	var keys []string
	for {
		page, err := read.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, kv := range page {
			keys = append(keys, string(kv.Key))
		}
	}
	if len(keys) != len(s.kvs) || keys[0] != "/berth/x/00000" || keys[len(keys)-1] != "/berth/x/01499" {
		t.Errorf("read %d keys of %d", len(keys), len(s.kvs))
	}
}
