//! Many clients at once.

use miraft_tests::{
    cluster,
    resp::{Connection, encode},
};

// covers: D7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_increments() {
    let cluster = cluster::shared().await;
    let addresses = cluster.plain_addresses();
    let one = |number: usize| {
        let address = addresses[number % addresses.len()].clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await.unwrap();
            connection.run("INCR count:one").await.unwrap().int().expect("a sum")
        })
    };
    let clients: Vec<_> = (0..1000).map(one).collect();
    let mut sums = Vec::new();
    for client in clients {
        sums.push(client.await.unwrap());
    }
    sums.sort_unstable();
    assert_eq!(sums, (1..=1000).collect::<Vec<i64>>(), "each increment is told its own sum");
}

// covers: D7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_increments_of_many_connections() {
    const CONNECTIONS: i64 = 20;
    const EACH: i64 = 500;
    let cluster = cluster::shared().await;
    let addresses = cluster.plain_addresses();
    let one = |number: usize| {
        let address = addresses[number % addresses.len()].clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await.unwrap();
            let commands: Vec<_> =
                (0..EACH).map(|n| encode(["INCRBY", &format!("count:many:{}", n % 7), "3"])).collect();
            let replies = connection.pipeline(&commands).await.unwrap();
            assert!(replies.iter().all(|reply| reply.int().is_some()));
        })
    };
    let clients: Vec<_> = (0..CONNECTIONS as usize).map(one).collect();
    for client in clients {
        client.await.unwrap();
    }
    let mut connection = cluster.connect().await;
    let mut total = 0;
    for key in 0..7 {
        total +=
            connection.run(&format!("GET count:many:{key}")).await.unwrap().text().parse::<i64>().unwrap();
    }
    assert_eq!(total, CONNECTIONS * EACH * 3);
}

#[tokio::test]
async fn a_connection_sees_its_own_writes_in_order() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    let commands: Vec<_> = (0..2000)
        .flat_map(|number| {
            let key = format!("order:{}", number % 50);
            [encode(["SET", &key, &number.to_string()]), encode(["GET", &key])]
        })
        .collect();
    let replies = connection.pipeline(&commands).await.unwrap();
    for (number, pair) in replies.chunks(2).enumerate() {
        assert_eq!((pair[0].to_string(), pair[1].to_string()), ("OK".to_owned(), number.to_string()));
    }
}
