use std::{
    future::Future,
    sync::{Barrier, mpsc},
    time::Duration,
};

use tokio::sync::oneshot;

use super::*;

/// A pool where nobody can park.
fn pool(workers: usize, waiting_max: usize, cpus: usize) -> Pool {
    Pool::new(Places { workers, parked_max: 0, waiting_max, cpus })
}

/// A pool that deadlocks fails its test instead of stopping the run.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the pool is stuck")
}

async fn until(mut holds: impl FnMut() -> bool) {
    in_time(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A job that has begun and goes on until the sender is dropped.
async fn occupy(pool: &Pool) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Problem>>) {
    let (begun, has_begun) = oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let pool = pool.clone();
    let job = async move {
        pool.run(move |_cpu| {
            begun.send(()).unwrap();
            ended.recv().unwrap_err();
        })
        .await
    };
    let job = tokio::spawn(job);
    in_time(has_begun).await.unwrap();
    (end, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_gives_back_what_it_makes() {
    let pool = pool(1, 0, 1);
    for number in 0..3 {
        assert_eq!(in_time(pool.run(move |_cpu| number * 2)).await, Ok(number * 2));
    }
    assert_eq!(pool.queue_depth(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_panics_is_a_problem_and_gives_its_places_back() {
    let pool = pool(1, 0, 1);
    for _ in 0..3 {
        let died = in_time(pool.run(|_cpu| -> u8 { panic!("as a decoder might") })).await;
        assert_eq!(died.unwrap_err().kind, Kind::Internal);
    }
    assert_eq!(in_time(pool.run(|_cpu| 1)).await, Ok(1));
    assert_eq!((pool.workers.available_permits(), pool.cpus.available_permits()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once() {
    let pool = pool(1, 1, 1);
    let (end, first) = occupy(&pool).await;
    let waiter = pool.clone();
    let second = tokio::spawn(async move { waiter.run(|_cpu| 2).await });
    until(|| pool.queue_depth() == 1).await;
    let third = in_time(pool.run(|_cpu| 3)).await;
    assert_eq!(third.unwrap_err().kind, Kind::Busy);
    drop(end);
    assert_eq!(in_time(second).await.unwrap(), Ok(2));
    assert_eq!(in_time(first).await.unwrap(), Ok(()));
    assert_eq!(pool.queue_depth(), 0);
    assert_eq!(in_time(pool.run(|_cpu| 3)).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_who_leaves_gives_its_place_in_the_queue_back() {
    let pool = pool(1, 1, 1);
    let (end, first) = occupy(&pool).await;
    for _ in 0..3 {
        let waiter = pool.clone();
        let second = tokio::spawn(async move { waiter.run(|_cpu| ()).await });
        until(|| pool.queue_depth() == 1).await;
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(pool.queue_depth(), 0);
    }
    drop(end);
    in_time(first).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_jobs_compute_than_there_are_cpus() {
    const CPUS: usize = 2;
    let pool = pool(8, 0, CPUS);
    let computing = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..8)
        .map(|_| {
            let (pool, computing) = (pool.clone(), Arc::clone(&computing));
            tokio::spawn(async move {
                pool.run(move |mut cpu| {
                    let mut most = 0;
                    for _ in 0..200 {
                        most = most.max(computing.fetch_add(1, Ordering::SeqCst) + 1);
                        std::thread::yield_now();
                        computing.fetch_sub(1, Ordering::SeqCst);
                        cpu.give_way();
                    }
                    most
                })
                .await
            })
        })
        .collect();
    for job in jobs {
        let most = in_time(job).await.unwrap().unwrap();
        assert!((1..=CPUS).contains(&most), "{most} at once");
    }
    assert_eq!((pool.workers.available_permits(), pool.cpus.available_permits()), (8, CPUS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_cpus_are_used() {
    let pool = pool(2, 0, 2);
    // Neither job ends before the other has begun.
    let both = Arc::new(Barrier::new(2));
    let (a, b) = (Arc::clone(&both), both);
    let (a, b) = in_time(async { tokio::join!(pool.run(move |_cpu| a.wait()), pool.run(move |_cpu| b.wait())) }).await;
    assert!(a.is_ok() && b.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_lends_its_cpu() {
    let pool = pool(2, 0, 1);
    let (send, receive) = oneshot::channel();
    let (waits, is_waiting) = oneshot::channel();
    let waiter = pool.clone();
    let first = tokio::spawn(async move {
        waiter
            .run(move |mut cpu| {
                waits.send(()).unwrap();
                let received = cpu.wait(receive);
                (received, cpu.permit.is_some())
            })
            .await
    });
    in_time(is_waiting).await.unwrap();
    // The only CPU: with it the second job does what the first one waits for.
    in_time(pool.run(move |_cpu| send.send("done").unwrap())).await.unwrap();
    let (received, has_cpu) = in_time(first).await.unwrap().unwrap();
    assert_eq!((received, has_cpu), (Ok("done"), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_computes_for_long_gives_others_a_turn() {
    let pool = pool(2, 0, 1);
    let (send, receive) = mpsc::channel();
    let (begun, has_begun) = oneshot::channel();
    let worker = pool.clone();
    let first = tokio::spawn(async move {
        worker
            .run(move |mut cpu| {
                begun.send(()).unwrap();
                while receive.try_recv().is_err() {
                    cpu.give_way();
                }
            })
            .await
    });
    in_time(has_begun).await.unwrap();
    in_time(pool.run(move |_cpu| send.send(()).unwrap())).await.unwrap();
    in_time(first).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_caller_left_keeps_its_places_to_its_end() {
    let pool = pool(1, 0, 1);
    let (end, job) = occupy(&pool).await;
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    assert_eq!((pool.workers.available_permits(), pool.cpus.available_permits()), (0, 0));
    assert_eq!(in_time(pool.run(|_cpu| ())).await.unwrap_err().kind, Kind::Busy);
    drop(end);
    until(|| pool.workers.available_permits() == 1).await;
    assert_eq!(in_time(pool.run(|_cpu| 1)).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_long_makes_room_for_others() {
    let pool = Pool::new(Places { workers: 1, parked_max: 1, waiting_max: 1, cpus: 1 });
    let (send, receive) = oneshot::channel();
    let waiter = pool.clone();
    let first = tokio::spawn(async move { waiter.run(move |mut cpu| (cpu.wait(receive), cpu.is_parked)).await });
    until(|| pool.workers.available_permits() == 0).await;
    // The only worker: with its place the second job does what the first one waits for.
    in_time(pool.run(move |_cpu| send.send("done").unwrap())).await.unwrap();
    assert_eq!(in_time(first).await.unwrap(), Ok((Ok("done"), true)));
    assert_eq!((pool.workers.available_permits(), pool.parking.available_permits()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_the_parking_full_keeps_its_worker() {
    let pool = pool(1, 0, 1);
    let (send, receive) = oneshot::channel();
    let waiter = pool.clone();
    let first = tokio::spawn(async move { waiter.run(move |mut cpu| (cpu.wait(receive), cpu.is_parked)).await });
    until(|| pool.workers.available_permits() == 0).await;
    let waited = tokio::time::timeout(2 * PARKED_AFTER, until(|| pool.workers.available_permits() == 1)).await;
    assert!(waited.is_err(), "the place of a worker that was at work was given away");
    send.send("done").unwrap();
    assert_eq!(in_time(first).await.unwrap(), Ok((Ok("done"), false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_computes_alone_borrows_the_other_cpus() {
    let pool = pool(2, 0, 3);
    let job = pool.run(|cpu| {
        let borrowed = [cpu.spare(), cpu.spare()];
        assert!(borrowed.iter().all(Option::is_some));
        assert!(cpu.spare().is_none(), "there are three CPUs");
        drop(borrowed);
        cpu.spare().is_some()
    });
    assert_eq!(in_time(job).await, Ok(true));
    assert_eq!(pool.cpus.available_permits(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_borrowed_while_somebody_waits_for_a_worker() {
    let pool = pool(1, 1, 2);
    let (ask, asked) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel();
    let asking = pool.clone();
    let first = tokio::spawn(async move {
        asking
            .run(move |cpu| {
                while asked.recv().is_ok() {
                    answer.send(cpu.spare().is_some()).unwrap();
                }
            })
            .await
    });
    ask.send(()).unwrap();
    assert!(answers.recv().unwrap(), "nobody waits");
    let waiter = pool.clone();
    let second = tokio::spawn(async move { waiter.run(|_cpu| ()).await });
    until(|| pool.queue_depth() == 1).await;
    ask.send(()).unwrap();
    assert!(!answers.recv().unwrap(), "somebody waits");
    drop(ask);
    in_time(first).await.unwrap().unwrap();
    in_time(second).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_cpu_gets_the_borrowed_one_however_often_it_is_asked_for() {
    let pool = pool(2, 0, 2);
    let (begun, has_begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let borrower = pool.clone();
    let first = tokio::spawn(async move {
        borrower
            .run(move |cpu| {
                // Without a gap in which the CPU is free but for those who wait.
                while has_begun.try_recv().is_err() {
                    drop(cpu.spare());
                }
                let is_spare = cpu.spare().is_some();
                drop(end);
                is_spare
            })
            .await
    });
    let waiter = pool.clone();
    let second = tokio::spawn(async move {
        waiter
            .run(move |_cpu| {
                begun.send(()).unwrap();
                ended.recv().unwrap_err();
            })
            .await
    });
    assert_eq!(in_time(first).await.unwrap(), Ok(false), "both CPUs are used");
    in_time(second).await.unwrap().unwrap();
}
