// A server with one lock and one hot function, for the test of stacks.
package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync"
	"time"
)

var book sync.Mutex
var sum uint64

func add() {
	book.Lock() // lock
	time.Sleep(10 * time.Millisecond) // held
	book.Unlock()
}

//go:noinline
func render() uint64 {
	value := uint64(0)
	for round := uint64(0); round < 8_000_000; round++ {
		value = value*31 + round // hot
	}
	return value
}

func main() {
	http.HandleFunc("/lock", func(w http.ResponseWriter, _ *http.Request) {
		add()
		w.Write([]byte("ok"))
	})
	http.HandleFunc("/hot", func(w http.ResponseWriter, _ *http.Request) {
		sum = render()
		w.Write([]byte("ok"))
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
