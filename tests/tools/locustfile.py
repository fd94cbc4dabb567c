"""Levels of users, each with half a second between two requests."""
import os
import random

from locust import FastHttpUser, LoadTestShape, constant, task


class Shopper(FastHttpUser):
    wait_time = constant(0.5)

    @task
    def one(self):
        item = random.randint(1, 200000)
        if os.environ["SHOP"] == "orders":
            self.client.post("/order", json={"product": item, "quantity": 1}, name="order")
        else:
            self.client.get(f"/product/{item}", name="product")


class Steps(LoadTestShape):
    levels = [5, 15, 30, 50, 70, 90, 110, 130, 150]
    hold = 10

    def tick(self):
        level = int(self.get_run_time() // self.hold)
        return (self.levels[level], 100) if level < len(self.levels) else None
