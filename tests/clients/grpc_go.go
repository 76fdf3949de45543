// gRPC as Go has it (google.golang.org/grpc): a client of many calls, or a server that sends back.
// It asks by PING how fast the link is while messages come, as Java's and Swift's do.
//
//	grpc_go unary 127.0.0.1:8000 6000 20 2000 50
//	  so many calls, so many at once, so many a second at the most, with so large a message each
//	grpc_go streams 127.0.0.1:8000 10 5000 50
//	  so many calls at once, each with so many messages of this size, both ways
//	grpc_go serve
//	  prints its port and serves until its end; each message of a call goes back
//
// The clients print how many messages came back as they were sent. Exit status 0 if all did.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// A codec that leaves messages as they are, so that no protocol buffers are needed.
type plain struct{}

func (plain) Marshal(message interface{}) ([]byte, error) { return *message.(*[]byte), nil }

func (plain) Unmarshal(content []byte, message interface{}) error {
	*message.(*[]byte) = append([]byte(nil), content...)
	return nil
}

func (plain) Name() string   { return "plain" }
func (plain) String() string { return "plain" }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(position int) int {
	value, err := strconv.Atoi(os.Args[position])
	check(err)
	return value
}

func dial() *grpc.ClientConn {
	connection, err := grpc.Dial(
		os.Args[2], grpc.WithInsecure(), grpc.WithDefaultCallOptions(grpc.ForceCodec(plain{})),
	)
	check(err)
	return connection
}

func unary() {
	count, places, rate, size := number(3), number(4), number(5), number(6)
	connection := dial()
	defer connection.Close()
	tickets := make(chan int)
	go func() {
		begin := time.Now()
		for call := 0; call < count; call++ {
			time.Sleep(time.Until(begin.Add(time.Duration(call) * time.Second / time.Duration(rate))))
			tickets <- call
		}
		close(tickets)
	}()
	var same int64
	var working sync.WaitGroup
	for place := 0; place < places; place++ {
		working.Add(1)
		go func() {
			defer working.Done()
			for call := range tickets {
				sent, received := bytes.Repeat([]byte{byte(call)}, size), []byte{}
				check(connection.Invoke(context.Background(), "/echo.Echo/Unary", &sent, &received))
				if bytes.Equal(sent, received) {
					atomic.AddInt64(&same, 1)
				}
			}
		}()
	}
	working.Wait()
	fmt.Println(same)
}

func streams() {
	calls, count, size := number(3), number(4), number(5)
	connection := dial()
	defer connection.Close()
	var same int64
	var working sync.WaitGroup
	for call := 0; call < calls; call++ {
		working.Add(1)
		go func() {
			defer working.Done()
			both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
			stream, err := connection.NewStream(context.Background(), both, "/echo.Echo/Chat")
			check(err)
			go func() {
				for n := 0; n < count; n++ {
					message := bytes.Repeat([]byte{byte(n)}, size)
					check(stream.SendMsg(&message))
				}
				check(stream.CloseSend())
			}()
			for n := 0; ; n++ {
				var received []byte
				err := stream.RecvMsg(&received)
				if err == io.EOF {
					return
				}
				check(err)
				if bytes.Equal(received, bytes.Repeat([]byte{byte(n)}, size)) {
					atomic.AddInt64(&same, 1)
				}
			}
		}()
	}
	working.Wait()
	fmt.Println(same)
}

func echo(_ interface{}, stream grpc.ServerStream) error {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	check(grpc.NewServer(grpc.CustomCodec(plain{}), grpc.UnknownServiceHandler(echo)).Serve(listener))
}

func main() {
	switch os.Args[1] {
	case "unary":
		unary()
	case "streams":
		streams()
	case "serve":
		serve()
	}
}
