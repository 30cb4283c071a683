//! The accounts' store on disk does what every store must.

use sotto_relay::accounts::SledTable;
use sotto_relay::store::RealDisk;
use sotto_signaling::conformance;
use sotto_signaling::store::{Accounts as _, Embedded};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_disk_conforms_and_its_rows_are_there_after_a_reopen() {
    let home = tempfile::tempdir().unwrap();
    {
        let (table, broken) = SledTable::open(home.path(), Arc::new(RealDisk), 0).unwrap();
        let store = Embedded::open(table);
        conformance::check(&store).await;
        assert_eq!(*broken.borrow(), None);
        assert!(store.account_by_username("anna".parse().unwrap()).await.unwrap().is_some());
    }
    let (table, _) = SledTable::open(home.path(), Arc::new(RealDisk), 0).unwrap();
    let store = Embedded::open(table);
    assert!(store.account_by_username("anna".parse().unwrap()).await.unwrap().is_some());
}
