// gRPC as Java has it (io.grpc, with Netty): a client of many calls, or a server that sends back.
// It asks by PING how fast the link is while messages come, as Go's does in grpc_go.go.
//
//   java -cp JARS GrpcJava.java unary 127.0.0.1:8000 6000 20 2000 50
//     so many calls, so many at once, so many a second at the most, with so large a message each
//   java -cp JARS GrpcJava.java serve
//     prints its port and serves until its end; each message of a call goes back
//
// The client prints how many messages came back as they were sent.

import io.grpc.CallOptions;
import io.grpc.HandlerRegistry;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerMethodDefinition;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

public class GrpcJava {
    // Leaves messages as they are, so that no protocol buffers are needed.
    static final MethodDescriptor.Marshaller<byte[]> PLAIN = new MethodDescriptor.Marshaller<>() {
        public InputStream stream(byte[] message) {
            return new ByteArrayInputStream(message);
        }

        public byte[] parse(InputStream content) {
            try {
                return content.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };

    static MethodDescriptor<byte[], byte[]> method(MethodDescriptor.MethodType type, String name) {
        return MethodDescriptor.newBuilder(PLAIN, PLAIN).setType(type).setFullMethodName(name).build();
    }

    static void unary(String place, int count, int places, int rate, int size) throws Exception {
        ManagedChannel channel = NettyChannelBuilder.forTarget(place).usePlaintext().build();
        MethodDescriptor<byte[], byte[]> method =
            method(MethodDescriptor.MethodType.UNARY, "echo.Echo/Unary");
        ExecutorService working = Executors.newFixedThreadPool(places);
        AtomicInteger same = new AtomicInteger();
        long begin = System.nanoTime();
        for (int call = 0; call < count; call++) {
            long due = begin + call * 1_000_000_000L / rate;
            TimeUnit.NANOSECONDS.sleep(due - System.nanoTime());
            byte[] sent = new byte[size];
            Arrays.fill(sent, (byte) call);
            working.execute(() -> {
                byte[] received =
                    ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, sent);
                if (Arrays.equals(sent, received)) same.incrementAndGet();
            });
        }
        working.shutdown();
        working.awaitTermination(10, TimeUnit.MINUTES);
        channel.shutdownNow().awaitTermination(1, TimeUnit.MINUTES);
        System.out.println(same.get());
    }

    static StreamObserver<byte[]> echo(StreamObserver<byte[]> responses) {
        return new StreamObserver<>() {
            public void onNext(byte[] message) {
                responses.onNext(message);
            }

            public void onError(Throwable error) {}

            public void onCompleted() {
                responses.onCompleted();
            }
        };
    }

    static void serve() throws Exception {
        HandlerRegistry every = new HandlerRegistry() {
            public ServerMethodDefinition<?, ?> lookupMethod(String name, String authority) {
                return ServerMethodDefinition.create(
                    method(MethodDescriptor.MethodType.BIDI_STREAMING, name),
                    ServerCalls.asyncBidiStreamingCall(GrpcJava::echo));
            }
        };
        Server server = NettyServerBuilder.forAddress(new java.net.InetSocketAddress("127.0.0.1", 0))
            .fallbackHandlerRegistry(every).build().start();
        System.out.println(server.getPort());
        server.awaitTermination();
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("serve")) {
            serve();
        } else {
            unary(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]),
                Integer.parseInt(args[4]), Integer.parseInt(args[5]));
        }
    }
}
